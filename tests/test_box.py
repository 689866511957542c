"""Inequalities on boxes: what is proved, what is refuted, and that the checker cannot be fooled."""

from __future__ import annotations

import copy
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from functools import reduce
from pathlib import Path
from typing import Any

import flint
import pytest
import sympy as sp
from certificates import Json, at, certificate, changed, integers, mutants, reals, says, scalar, step, term
from hypothesis import given, settings
from hypothesis import strategies as st
from tightframe.theory.derivation import Derivation, Failure, Hypothesis, Proof, Setting, Step
from tightframe.theory.proof import box, checker
from tightframe.theory.proof.certificate import binding
from tightframe.theory.proof.checker import Algebra, Edge, Enclosure, Inequality, Range, Rejected
from tightframe.theory.proof.rules import Box, Justification, MeanValue
from tightframe.theory.proof.statement import Between, Exceeds, Positive
from tightframe.theory.proof.translation import Translation, Untranslatable
from tightframe.theory.symbols import integers as whole
from tightframe.theory.symbols import reals as real

K, L, m = (sp.Symbol(name, integer=True, positive=True) for name in "KLm")
a, k, x, y, r, s = (sp.Symbol(name, positive=True) for name in "akxyrs")
z = sp.Symbol("z", nonnegative=True)
two, zero, exp, log = sp.Integer(2), sp.S.Zero, sp.exp, sp.log
PARAMETERS: Mapping[sp.Symbol, Range] = {
    **{symbol: real(0, open=True) for symbol in (a, x, y, r, s)},
    k: real(1, open=True),
    z: real(0),
    **{symbol: whole(1) for symbol in (K, L, m)},
}


def outcome(goal: Exceeds, *before: Step, by: Justification | None = None) -> Proof | Failure:
    spoken = sp.sympify(goal.left).free_symbols | sp.sympify(goal.right).free_symbols
    used = {symbol: bounds for symbol, bounds in PARAMETERS.items() if symbol in spoken}
    setting = Setting(used, (), lambda rng: dict.fromkeys(used, 3))
    return Derivation("inequality", setting, (*before, Step("goal", goal, "", by or Box()))).prove()


def proved(goal: Exceeds, *before: Step, by: Justification | None = None) -> Json:
    proof = outcome(goal, *before, by=by)
    assert isinstance(proof, Proof), proof
    document = json.loads(json.dumps(proof.certificate))
    assert checker.check(document) == proof.report
    return document


def refuted(goal: Exceeds) -> Mapping[str, str]:
    """The point at which it fails, all of whose coordinates lie in their ranges."""
    failure = outcome(goal)
    assert isinstance(failure, Failure)
    assert failure.witness is not None, failure
    point = failure.witness["parameters"]
    assert all(Fraction(point[symbol.name]) in bounds for symbol, bounds in PARAMETERS.items() if symbol.name in point)
    return point


def rises(gap: sp.Expr, variable: sp.Symbol, *where: Between) -> Json:
    """gap > 0 because it starts at zero and has a positive slope."""
    slope = Step("slope", Exceeds(sp.diff(gap, variable), zero, (where,)), "", Box())
    return proved(Exceeds(gap, zero, (where,)), slope, by=MeanValue(variable, "slope"))


# ---------------------------------------------------------------- Garrod 2025: where neural collapse is not optimal

simplex, paired = 2 - 1 / m, two ** (2 / (L + 1))
LINEAR = ((Between(m, 2), Between(L, 3)), (Between(m, 3), Between(L, 2, 2)))
relu = (K - 1) * two ** (2 * (L - 1) / (L + 1)) * ((K + 2) / K) ** (3 / (L + 1))
collapse = 2 * K + 4
RELU = ((Between(K, 16), Between(L, 4, 4)), (Between(K, 10), Between(L, 5)))
LEAST_K = {(4, 4): 13, (5, 5): 9, (6, 6): 8, (7, 7): 7, (8, 12): 6, (13, None): 5}  # by L


# Garrod 2025, proof of theorem 1
def test_the_paired_structure_beats_neural_collapse() -> None:
    proved(Exceeds(simplex, paired, LINEAR))


@pytest.mark.parametrize(
    ("goal", "where"),
    [
        (Exceeds(simplex, paired, ((Between(m, 2), Between(L, 2)),)), {"L": "2", "m": "2"}),
        (Exceeds(simplex, paired, ((Between(m, 2), Between(L, 1)),)), {"L": "1", "m": "2"}),
        (Exceeds(simplex, paired, ((Between(m, 1), Between(L, 3)),)), {"L": "3", "m": "1"}),
        (Exceeds(2 - sp.Rational(13, 10) / m, paired, LINEAR), {"L": "3", "m": "2"}),
        (Exceeds(simplex, two ** (3 / (L + 1)), LINEAR), {"L": "3", "m": "2"}),
        (Exceeds(paired, simplex, LINEAR), {"L": "3", "m": "2"}),
        (Exceeds(simplex, paired), {"L": "1", "m": "1"}),
    ],
    ids=["m = 2", "L = 1", "m = 1", "1.3/m", "3/(L+1)", "swapped", "no domain"],
)
def test_it_does_not_elsewhere(goal: Exceeds, where: Mapping[str, str]) -> None:
    assert refuted(goal) == where


# Garrod 2025, proof of theorem 7
def test_the_relu_witness_beats_neural_collapse() -> None:
    proved(Exceeds(relu, collapse, RELU))


# Garrod 2025, theorem 7, sharpened: of even K also K = 14 at L = 4, K = 8 from L = 6 on, K = 6 from L = 8 on
def test_all_sizes_for_which_the_relu_witness_wins() -> None:
    """K >= 13, 9, 8, 7 at L = 4, 5, 6, 7; K >= 6 at L = 8, ..., 12; K >= 5 for L >= 13; nowhere else."""
    wins = tuple((Between(K, least), Between(L, *ends)) for ends, least in LEAST_K.items())
    loses = tuple((Between(K, 5, least - 1), Between(L, *ends)) for ends, least in LEAST_K.items() if least > 5)
    proved(Exceeds(relu, collapse, wins))
    proved(Exceeds(collapse, relu, (*loses, (Between(K, 1, 3),), (Between(L, 1, 2),))))


def test_it_loses_where_both_sides_approach_each_other() -> None:
    """K = 4 as L grows, and L = 3 as K grows: there logarithms of both sides, in s = 1/K."""
    at_four = proved(Exceeds(collapse.subs(K, 4), relu.subs(K, 4)))
    assert "exprel" in json.dumps(at_four["steps"])
    assert refuted(Exceeds(collapse.subs(K, 4), relu.subs(K, 4) * sp.Rational(1001, 1000))).keys() == {"L"}
    gap = log(1 + 2 * s) / 4 - log(1 - s)
    for size in (5, 7, 100):
        logarithms = log(collapse / relu).subs({L: 3, K: sp.Integer(size)})
        assert abs(sp.N(logarithms - gap.subs(s, sp.Rational(1, size)))) < 1e-12
    rises(gap, s, Between(s, None, sp.Rational(1, 2)))


@pytest.mark.parametrize("ends", LEAST_K)
def test_one_class_less_is_refuted(ends: tuple[int, int | None]) -> None:
    below = LEAST_K[ends] - 1
    goal = Exceeds(relu, collapse, ((Between(K, below), Between(L, *ends)),))
    assert refuted(goal) == {"K": str(below), "L": str(ends[0])}


def test_a_hole_between_the_integers_is_no_counterexample() -> None:
    """4 (K - 7/2)^2 > 1/2 for integers; a real K = 7/2 would refute it."""
    near = 4 * (K - sp.Rational(7, 2)) ** 2
    proved(Exceeds(near, sp.Rational(1, 2)))
    assert refuted(Exceeds(near, 1)) in ({"K": "3"}, {"K": "4"})
    assert refuted(Exceeds(near.subs(K, x), sp.Rational(1, 2))).keys() == {"x"}


# ------------------------------------------------------------------------------------ scalar inequalities of the field


def test_inequalities_that_touch_at_an_end() -> None:
    rises(log(1 + x) - x / (1 + x), x)
    rises(x - log(1 + x), x)
    rises(1 - exp(-a), a)
    rises((k - 1) * exp(-a) - log(1 + (k - 1) * exp(-a)), k)  # the collapsed loss below its exponential bound
    slope = Step("slope", Exceeds(exp(x), 1), "", MeanValue(x, "slope of the slope"))
    before = Step("slope of the slope", Exceeds(exp(x), zero), "", Box())
    proved(Exceeds(exp(x), 1 + x), before, slope, by=MeanValue(x, "slope"))
    start = Step("start", Exceeds(sp.S.Half, zero), "", Box())
    slope = Step("slope", Exceeds(exp(z), sp.S.Half), "", Box())
    proved(Exceeds(exp(z), (1 + z) / 2), start, slope, by=MeanValue(z, "slope", "start"))


def test_a_factor_is_divided_out() -> None:
    """A pole at an end, a zero at an end, and both sides growing without end."""
    proved(Exceeds(1 / x + 1, 1 - x / 2, ((Between(x, None, 1),),)), by=Box(1 / x))
    proved(Exceeds(x * exp(x), x / 2))
    proved(Exceeds(x * exp(x), x * (2 - exp(-x)) / 2, ((Between(x, None, 3),),)), by=Box(x))
    proved(Exceeds((K + 1) ** 2 * two ** (1 / K), K**2 + K))
    proved(Exceeds(1 - exp(-x), x / 2, ((Between(x, None, 1),),)))
    proved(Exceeds(two ** (1 / K), 1 + 1 / (2 * K)))


@pytest.mark.parametrize(
    ("goal", "where"),
    [
        (Exceeds(exp(z), 1 + z), {"z": "0"}),  # equal at the end
        (Exceeds(x, x), None),
        (Exceeds(log(1 + x), x), None),
        (Exceeds(exp(x), 3 * x), None),
        (Exceeds(log(z), -100), {"z": "0"}),  # not defined
        (Exceeds(1 / (x - 1) ** 2, zero), {"x": "1"}),
        (Exceeds(two ** (1 / K), 1 + 1 / K), {"K": "1"}),
        (Exceeds(K**3, 3**K), {"K": "1"}),
    ],
)
def test_false_inequalities_are_refuted(goal: Exceeds, where: Mapping[str, str] | None) -> None:
    assert refuted(goal) == (where or refuted(goal))


def test_what_is_undecided_is_no_proof() -> None:
    """Equality of numbers that are not rational, a touching end without its factor, and a limit that is met."""
    for goal in (Exceeds(log(6), log(2) + log(3)), Exceeds(exp(x), 1 + x)):
        failure = outcome(goal, by=Box(limits=box.Limits(depth=8, parts=50)))
        assert isinstance(failure, Failure)
        assert failure.witness is None
        assert "undecided" in failure.reason or "no value" in failure.reason
    failure = outcome(Exceeds(relu, collapse, RELU), by=Box(limits=box.Limits(parts=3)))
    assert isinstance(failure, Failure)
    assert failure.reason.startswith("undecided after")


def test_a_hypothesis_that_may_exclude_the_point_stops_the_refutation() -> None:
    setting = Setting({x: real(0)}, (Hypothesis("large", Positive(x - 5), ""),), lambda rng: {x: 7})
    failure = Derivation("", setting, (Step("goal", Exceeds(x, 1), "", Box()),)).prove()
    assert isinstance(failure, Failure)
    assert failure.witness is None
    assert "unless a hypothesis excludes it" in failure.reason


def test_examples_of_a_setting_refute() -> None:
    setting = Setting({x: real(0)}, (), lambda rng: {x: sp.Rational(rng.randint(1, 9), 2)})
    witness = setting.refute(Exceeds(x**2, 4 * x))
    assert witness is not None
    assert Fraction(witness["parameters"]["x"]) <= 4
    assert setting.refute(Exceeds(x**2, 4 * x, ((Between(x, 5),),))) is None
    assert setting.refute(Exceeds(exp(x), x)) is None


def test_translation() -> None:
    reading = Translation({K: whole(1), x: real(0)}, definitions={r: 1 / K, y: s, s: y})
    normal = reading.statement(Exceeds(K ** sp.Rational(1, 3), r, ((Between(K, 2), Between(x, None, 3)), ())))
    assert normal.inequality is not None
    tree = ("+", ("exp", ("*", "1/3", ("log", "K"))), ("*", "-1", ("^", "K", "-1")))
    assert normal.inequality == Inequality(tree, ((("K", Fraction(2), None), ("x", None, Fraction(3))), ()))
    boxes: Any = ((), ((Between(x, sp.sqrt(2)),),), ((Between(x, 1), Between(x, 2)),))
    wrong = [Exceeds(x, 0, box) for box in boxes]
    for goal in (*wrong, Exceeds(sp.sin(x), 0), Exceeds(x, sp.pi), Exceeds(y, 0), Exceeds(a, 0)):
        with pytest.raises(Untranslatable):
            reading.statement(goal)
    shown = Exceeds(x, 1 / K, ((Between(K, 2, 3), Between(x, None, 1)), (Between(x, 2),))).latex()
    assert shown.endswith(r"{\text{for } 2 \le K \le 3,\; x \le 1 \text{ or } x \ge 2}")


# ----------------------------------------------------------------------------------------------- interval arithmetic

NUMBERS = st.fractions(-40, 40, max_denominator=50)
EXPONENTS = st.integers(-4, 5).map(str)


def trees(functions: str) -> st.SearchStrategy[Any]:
    """Expressions in x, y and an integer n."""
    return st.recursive(
        st.sampled_from("xyn") | NUMBERS.map(str),
        lambda inner: (
            st.tuples(st.sampled_from("+*"), inner, inner)
            | st.tuples(st.just("/"), inner, inner)
            | st.tuples(st.sampled_from(functions.split()), inner)
            | st.tuples(st.just("^"), inner, EXPONENTS)
        ),
        max_leaves=8,
    )


@st.composite
def edges(draw: st.DrawFn, integer: bool = False) -> tuple[Edge, Fraction]:
    """An edge, perhaps without an upper end, and a point on it."""
    low = draw(st.integers(-3, 6).map(Fraction) if integer else NUMBERS)
    size = draw(st.integers(0, 5).map(Fraction) if integer else st.fractions(0, 4, max_denominator=20))
    share = Fraction(draw(st.integers(0, 4)), 4)
    point = low + (Fraction(int(size * share)) if integer else size * share)
    high = draw(st.sampled_from([low + size, low + size, None]))
    return Edge(low, high, integer=integer), point


@settings(max_examples=400)
@given(tree=trees("exp log exprel"), sides=st.tuples(edges(), edges(), edges(integer=True)))
def test_enclosures_contain_the_values(tree: Any, sides: tuple[tuple[Edge, Fraction], ...]) -> None:
    point = {name: value for name, (_, value) in zip("xyn", sides, strict=True)}
    try:
        low, high = Enclosure({name: edge for name, (edge, _) in zip("xyn", sides, strict=True)})(tree)
    except Rejected:
        return
    assert low <= high
    with flint.ctx.workprec(300):
        try:
            value = box.ball(tree, point)
        except box.Undecided:
            return  # Undefined must not happen: the enclosure says that there is a value
        if value.is_finite():
            assert low[0] < 0 or not arb(low[1]) > value.upper()  # a ball about an end is no number
            assert high[0] > 0 or not arb(high[1]) < value.lower()


def arb(value: Fraction) -> Any:
    return flint.arb(flint.fmpq(value.numerator, value.denominator))


@given(st.fractions(-1000, 1000) | st.fractions(-1, 1, max_denominator=10**30) | st.sampled_from([Fraction(0)]))
def test_bounds_of_exp_are_on_either_side_and_close(number: Fraction) -> None:
    with flint.ctx.workprec(300):
        value = arb(number).exp()
        low, high = (arb(checker.exponential(number, up)) for up in (False, True))
        assert low <= value.upper()
        assert high >= value.lower()
        assert high - low <= value * arb(Fraction(1, 2**70))


@given(st.fractions(Fraction(1, 10**9), 10**9) | st.fractions(-1, 1, max_denominator=10**30).map(lambda u: 2 + u))
def test_bounds_of_log_are_on_either_side_and_close(number: Fraction) -> None:
    for value in (number, 1 / number, number**40):
        with flint.ctx.workprec(300):
            exact = arb(value).log()
            low, high = (arb(checker.logarithm(value, up)) for up in (False, True))
            assert low <= exact.upper()
            assert high >= exact.lower()
            assert high - low <= arb(Fraction(1, 2**70))


def test_bounds_are_exact_where_the_value_is_rational() -> None:
    for up in (False, True):
        assert checker.exponential(Fraction(0), up) == 1
        assert checker.logarithm(Fraction(1), up) == 0


@given(st.fractions(), st.integers(-3000, 3000), st.booleans())
def test_rounding_is_outward(number: Fraction, scale: int, up: bool) -> None:
    value = number * Fraction(2) ** scale
    order, end = checker.rounded(value, up)
    assert order in (0, 1 if up else -1)
    assert order or (end >= value if up else end <= value)
    assert order or max(end.numerator.bit_length(), end.denominator.bit_length()) <= 64 + checker.LARGEST


def test_infinite_ends() -> None:
    """1/x on x >= 1 is [0, 1], x - x is anything, 0 times x is 0, and an even power does not forget its sign."""
    ray = Enclosure({"x": Edge(Fraction(1), None), "y": Edge(None, Fraction(-2)), "z": Edge(None, None)})
    numbers = {
        ("/", "1", "x"): (0, 1),
        ("*", "0", "x"): (0, 0),
        ("^", "y", "2"): (4, None),
        ("^", "y", "3"): (None, -8),
        ("^", "y", "-2"): (0, Fraction(1, 4)),
        ("^", "z", "2"): (0, None),
        ("^", "z", "0"): (1, 1),
        ("*", "x", "y"): (None, -2),
        ("*", "y", "y"): (4, None),
        ("+", "x", "y"): (None, None),
        ("exp", ("*", "-1", "x")): (0, Fraction(3679, 10**4)),
        ("exp", "y"): (0, Fraction(1354, 10**4)),
        ("log", "x"): (0, None),
        ("exp", "3000"): (Fraction(10) ** 400, None),
    }
    for tree, expected in numbers.items():
        for end, bound in zip(ray(tree), expected, strict=True):
            near = bound is not None and not end[0] and (abs(end[1] - bound) < 1e-4 or end[1] > bound > 10**9)
            assert near or (bound is None and end[0]), tree
    for undefined in (("/", "1", "z"), ("log", "y"), ("log", "z"), ("log", "0"), ("^", "z", "-1"), ("/", "1", "0")):
        with pytest.raises(Rejected):
            ray(undefined)


@settings(max_examples=60)
@given(tree=trees("exp log"))
def test_nothing_is_proved_and_refuted(tree: Any) -> None:
    """Nor proved together with its negation; and what is proved holds at random points."""
    bounds = {"x": real(0), "y": real(-1, open=True), "n": whole(1)}
    algebra = Algebra(bounds)
    limits = box.Limits(depth=6, parts=20, seconds=1)
    results = [box.prove(Inequality(t, ((),)), algebra, limits=limits) for t in (tree, ("*", "-1", tree))]
    assert [found.result for found in results].count("proved") < 2
    rng = random.Random(0)
    for found, sign in zip(results, ("1", "-1"), strict=True):
        signed = ("*", sign, tree)
        if found.result == "proved":
            for _ in range(30):
                point = {name: Fraction(rng.randint(-8, 99), 1 if name == "n" else 9) for name in "xyn"}
                point = {name: max(value, Fraction(name == "n")) for name, value in point.items()}
                assert box.fails_at(signed, point) is None
        if found.witness is not None:
            point = {"x": Fraction(0), "y": Fraction(0), "n": Fraction(1), **found.witness}
            assert box.fails_in(Inequality(signed, ((),)), algebra, point)


# ---------------------------------------------------------------------------------------------- certificates by hand


def on_boxes(tree: Json, *trees: Json, boxes: Json = None, forms: Json = (), parameters: Json = None) -> Json:
    """One step by the rule of boxes; ``forms`` are pairs of factor and remainder."""
    goal = {"kind": "exceeds", "tree": tree, "boxes": [{}] if boxes is None else boxes}
    pairs = [{"factor": factor, "remainder": remainder} for factor, remainder in forms]
    declared = {"x": reals(0), "n": integers(0), "p": reals(0, open=True), "q": reals(-1)}
    return certificate(
        step("goal", "box", goal, forms=pairs, boxes=list(trees)), parameters={**declared, **(parameters or {})}
    )


def cut(name: str, where: str, below: Json = "positive", above: Json = "positive") -> Json:
    return ["cut", name, where, below, above]


def form(below: Json = "positive", number: Json = 0) -> Json:
    return ["form", number, below]


less = lambda left, right: ["+", left, ["*", "-1", right]]  # noqa: E731
NEAR = less(["^", less("n", "1/2"), "2"], "1/8")  # positive for integers only

TRUE: dict[str, Json] = {
    "a leaf": on_boxes(["+", "x", "1"], "positive"),
    "a cut": on_boxes(["+", ["^", less("x", "1"), "2"], ["*", "1/8", "x"], "1/100"], cut("x", "1/2")),
    "a cut of integers": on_boxes(NEAR, cut("n", "0")),
    "a form": on_boxes(["*", "p", ["+", "p", "1"]], form(), forms=[("p", ["+", "p", "1"])]),
    "a form at infinity": on_boxes(
        less(["*", "p", ["exp", ["/", "1", "p"]]], ["*", "1/2", "p"]),
        form(),
        forms=[("p", less(["exp", ["/", "1", "p"]], "1/2"))],
    ),
    "a form of a part": on_boxes(["*", "p", "p"], cut("p", "1", form()), forms=[(["*", "p", "p"], "1")]),
    "a divisor that a leaf shows to be positive": on_boxes(
        ["*", "p", ["/", "1", less("5", "p")]],
        form(),
        forms=[("p", ["/", "1", less("5", "p")])],
        boxes=[{"p": [None, "4"]}],
    ),
    "a relative exponential": on_boxes(
        less(["exp", "p"], ["+", "1", ["*", "1/2", "p"]]), form(), forms=[("p", less(["exprel", "p"], "1/2"))]
    ),
    "a power of an exponential": on_boxes(
        ["+", "1", ["exp", ["*", "2", ["log", "p"]]]], form(), forms=[(["+", "1", ["^", "p", "2"]], "1")]
    ),
    "two boxes": on_boxes(
        less(["^", "x", "2"], "1"), "positive", "positive", boxes=[{"x": ["2", "3"]}, {"x": ["4", None]}]
    ),
    "x as an integer end": on_boxes(less("n", "1/3"), "positive", boxes=[{"n": ["1/3", None]}]),
}

UNDEFINED = ["*", "0", ["/", "1", less("x", "1")]]
FALSE: dict[str, Json] = {
    "negative": on_boxes(less("x", "1"), "positive"),
    "zero at an end": on_boxes("x", "positive"),
    "zero inside": on_boxes(["^", "q", "2"], cut("q", "0")),
    "zero at an end that a factor hides": on_boxes("x", form(), forms=[("x", "1")]),
    "a negative factor": on_boxes(less("1", ["*", "2", "x"]), form(), forms=[(less("1", ["*", "2", "x"]), "1")]),
    "two negative factors": on_boxes(less("x", "1"), form(), forms=[("-1", less("1", "x"))]),
    "not factor times remainder": on_boxes(less("p", "1"), form(), forms=[("p", "1")]),
    "another form": on_boxes(less("p", "1"), form(number=1), forms=[(less("p", "1"), "1"), ("p", "1")]),
    "a form of nothing": on_boxes(less("p", "1"), form(number=2), forms=[("p", "1")]),
    "a form from behind": on_boxes(less("p", "1"), form(number=-1), forms=[("p", "1")]),
    "a form that is true": on_boxes(less("p", "1"), form(number=False), forms=[("p", "1")]),
    "undefined": on_boxes(["+", "1", UNDEFINED], "positive"),
    "undefined, not so the form": on_boxes(["+", "1", UNDEFINED], form(), forms=[("1", "1")]),
    "undefined at the end": on_boxes(["+", "1", ["*", "0", ["/", "1", "x"]]], form(), forms=[("1", "1")]),
    "undefined in a factor": on_boxes("1", form(), forms=[(["+", "1", UNDEFINED], "1")]),
    "undefined in a remainder": on_boxes(
        less("1", ["*", "2", "p"]),
        form(),
        forms=[("p", ["+", "1", ["*", "0", ["/", "1", "0"]]])],
    ),
    "a logarithm of a negative number": on_boxes(
        ["+", "1", ["*", "0", ["log", less("x", "5")]]], form(), forms=[("1", "1")]
    ),
    "the logarithm of zero": on_boxes(["+", "1", ["*", "0", ["log", "0"]]], form(), forms=[("1", "1")]),
    "a power of a negative number": on_boxes(
        ["+", "1", ["exp", ["*", "2", ["log", "q"]]]], form(), forms=[(["+", "1", ["^", "q", "2"]], "1")]
    ),
    "half a logarithm": on_boxes(less(["exp", ["*", "1/2", ["log", "p"]]], "p"), form(), forms=[("1", "0")]),
    "a relative exponential at zero": on_boxes(
        less(["exp", "x"], ["+", "1", ["*", "1/2", "x"]]), form(), forms=[("x", less(["exprel", "x"], "1/2"))]
    ),
    "a relative exponential of something else": on_boxes(
        less(["exp", "p"], ["+", "1", ["*", "2", "p"]]), form(), forms=[("p", ["exprel", ["*", "2", "p"]])]
    ),
    "a relative exponential that is too small": on_boxes(
        less(["exp", "p"], ["+", "1", ["*", "2", "p"]]), form(), forms=[("p", less(["exprel", "p"], "2"))]
    ),
    "a relative exponential in the statement": on_boxes(["exprel", "x"], "positive"),
    "reals for integers": on_boxes(less(["^", less("x", "1/2"), "2"], "1/8"), cut("x", "0")),
    "a cut between integers": on_boxes(NEAR, cut("n", "1/2")),
    "a cut below the box": on_boxes(less("x", "1"), cut("x", "-1")),
    "a cut at the end": on_boxes(less("x", "1"), cut("x", "0")),
    "a cut above the box": on_boxes(less("x", "1"), cut("x", "5"), boxes=[{"x": [None, "4"]}]),
    "a cut of integers below the box": on_boxes(NEAR, cut("n", "-1")),
    "a cut of what is no side": on_boxes("1", cut("w", "1")),
    "a box left out": on_boxes(less("x", "1"), "positive", boxes=[{"x": ["2", None]}, {}]),
    "no box": on_boxes(less("x", "1"), boxes=[]),
    "an empty box": on_boxes(less("x", "1"), "positive", boxes=[{"x": ["3", "2"]}]),
    "a box without integers": on_boxes("-1", "positive", boxes=[{"n": ["1/3", "2/3"]}]),
    "a box below its range": on_boxes("-1", "positive", boxes=[{"x": [None, "-1"]}]),
    "the open end of a range alone": on_boxes("-1", "positive", boxes=[{"p": [None, "0"]}]),
    "a box in nothing": on_boxes("1", "positive", boxes=[{"w": ["1", None]}]),
    "a derivative": on_boxes(["+", "1", ["D", "x", "x"]], "positive"),
    "a root": on_boxes(["+", "1", ["^", "x", "1/2"]], "positive"),
    "a symbolic power": on_boxes(["+", "1", ["^", "x", "n"]], "positive"),
    "a function of two arguments": on_boxes(["exp", "x", "x"], "positive"),
    "no argument": on_boxes(["+"], "positive"),
    "an undeclared name": on_boxes(["exp", "w"], "positive"),
    "a tree of truth": on_boxes(["+", "x", "1"], True),
    "an empty tree": on_boxes(["+", "x", "1"], []),
    "another kind": certificate(step("goal", "box", says("positive", scalar(term())), forms=[], boxes=[])),
    "an inequality as a hypothesis": {
        **on_boxes(["+", "x", "1"], "positive"),
        "hypotheses": [{"name": "h", "statement": {"kind": "exceeds", "tree": "x", "boxes": [{}]}}],
    },
}


@pytest.mark.parametrize("name", TRUE)
def test_a_certificate_by_hand(name: str) -> None:
    checker.check(TRUE[name])


@pytest.mark.parametrize("name", FALSE)
def test_a_false_certificate(name: str) -> None:
    with pytest.raises(Rejected):
        checker.check(FALSE[name])


def mean_value(
    tree: Json, slope: Json, by: Json = "positive", variable: str = "p", slope_boxes: Json = None, **how: Json
) -> Json:
    """A slope by the rule of boxes, then the mean value; ``forms`` of the slope."""
    first = on_boxes(slope, *([by] if isinstance(by, str) else by), boxes=slope_boxes, **how)
    goal = {"kind": "exceeds", "tree": tree, "boxes": [{}]}
    first["steps"][0]["name"] = "slope"
    return {
        **first,
        "statement": goal,
        "steps": [*first["steps"], step("goal", "mean-value", goal, variable=variable, slope="slope")],
    }


GAP = less(["exp", "p"], "1")
QUOTIENT = less(["/", "1", less("1", "p")], "1")  # 0 at 0, increasing on either side of its pole, below -1 beyond
STEEP = ["/", "1", ["^", less("1", "p"), "2"]]
WRONG_SLOPES: dict[str, Json] = {
    "half of the box": mean_value(GAP, ["exp", "p"], slope_boxes=[{"p": ["1", None]}]),
    "two halves": mean_value(
        GAP, ["exp", "p"], ["positive", "positive"], slope_boxes=[{"p": [None, "1"]}, {"p": ["1", None]}]
    ),
    "beside a pole": mean_value(
        QUOTIENT, STEEP, ["positive", "positive"], slope_boxes=[{"p": [None, "1/2"]}, {"p": ["2", None]}]
    ),
    "of another expression": mean_value(GAP, ["+", ["exp", "p"], "1"]),
    "in another variable": mean_value(GAP, ["exp", "p"], variable="x"),
    "in an integer": mean_value(less(["exp", "n"], "1"), ["exp", "n"], variable="n"),
    "in nothing": mean_value(GAP, ["exp", "p"], variable="w"),
    "from a closed end": mean_value(less(["exp", "x"], "1"), ["exp", "x"], variable="x"),
    "from an end below zero": mean_value(less(["exp", "p"], "2"), ["exp", "p"]),
    "from nowhere": mean_value(less(["exp", "p"], "1"), ["exp", "p"], parameters={"p": reals(None)}),
    "from where it is undefined": mean_value(
        ["+", ["log", "p"], "7"], ["/", "1", "p"], form(), forms=[(["/", "1", "p"], "1")]
    ),
}


def test_a_mean_value_by_hand() -> None:
    checker.check(mean_value(GAP, ["exp", "p"]))


@pytest.mark.parametrize("name", WRONG_SLOPES)
def test_a_wrong_slope(name: str) -> None:
    with pytest.raises(Rejected):
        checker.check(WRONG_SLOPES[name])


# ----------------------------------------------------------------------------------------------- changed certificates


@pytest.fixture(scope="module")
def document() -> Json:
    return proved(Exceeds(relu, collapse, RELU))


def nodes(tree: Json, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Json]]:
    """Every node of a tree of cuts with its path."""
    found = [(path, tree)]
    if isinstance(tree, list):
        for i in range(3, 5) if tree[0] == "cut" else (2,):
            found += nodes(tree[i], (*path, i))
    return found


def everywhere(document: Json, path: tuple[str | int, ...], value: Json) -> Json:
    """The same change in the statement and in the step that proves it."""
    result = changed(changed(document, ("statement", *path), value), ("steps", 0, "statement", *path), value)
    return copy.deepcopy(result)


def rejected(document: Json) -> bool:
    try:
        checker.check(document)
    except Rejected:
        return True
    return False


def test_planted_faults_are_rejected(document: Json) -> None:
    trees = ("steps", 0, "data", "boxes")
    faults: dict[str, Json] = {}
    for i, tree in enumerate(at(document, trees)):
        for path, node in nodes(tree):
            here = (*trees, i, *path)
            if node == "positive":
                faults[f"leaf {here} removed"] = changed(document, here, None)
                continue
            if node[0] == "form":
                faults[f"form at {here} dropped"] = changed(document, here, node[2])
                continue
            name = node[1]
            faults[f"case {here} dropped"] = changed(document, here, node[:4])
            faults[f"cases {here} joined"] = changed(document, here, "positive")
            other = "K" if name == "L" else "L"
            faults[f"cut {here} of the other side"] = changed(document, here, [node[0], other, *node[2:]])
            faults[f"cut {here} of no side"] = changed(document, here, [node[0], "W", *node[2:]])
            for where in ("3", "-7", "25/2"):
                faults[f"cut {here} moved to {where}"] = changed(document, (*here, 2), where)
    for path, wider in {
        ("boxes", 0, "K", 0): "12",
        ("boxes", 0, "L", 0): "3",
        ("boxes", 1, "K", 0): "8",
        ("boxes", 1, "L", 0): "4",
        ("boxes", 0, "L"): [None, None],
    }.items():
        faults[f"{path} widened"] = everywhere(document, path, wider)
    numbers = [
        path for path, part in _places(document["statement"]["tree"]) if part in ("2", "4", "-1", "3", "1", "-2")
    ]
    for path in numbers:
        old = at(document, ("statement", "tree", *path))
        faults[f"constant at {path}"] = everywhere(document, ("tree", *path), str(int(old) + 1))
    data = ("steps", 0, "data", "forms", 0)
    faults["forged factor"] = changed(document, (*data, "factor"), "1")
    faults["forged factor K^2"] = changed(document, (*data, "factor"), ["^", "K", "2"])
    faults["forged remainder"] = changed(document, (*data, "remainder"), "1")
    for name, fault in faults.items():
        assert rejected(fault), name
    assert len(faults) > 60


def _places(data: Json, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Json]]:
    found = [(path, data)]
    for i, part in enumerate(data) if isinstance(data, list) else ():
        found += _places(part, (*path, i))
    return found


def test_one_token_changes(document: Json) -> None:
    """What is accepted is another proof of the same statement, or a statement about a smaller set."""
    outcomes: Counter[str] = Counter()
    for kind, path, part in mutants(document, list(checker.RULES), 400, seed=0):
        mutant = changed(document, path, part)
        try:
            checker.check(mutant)
        except Rejected:
            outcomes["rejected"] += 1
            continue
        same = binding(mutant) == binding(document)
        smaller = path[0] == "parameters" and mutant["statement"] == document["statement"]
        assert same or smaller, f"{kind} at {path}: {at(document, path)} became {part}"
        outcomes["accepted"] += 1
    assert outcomes["rejected"] > 3 * outcomes["accepted"], outcomes


def test_changes_of_the_statement_are_accepted_only_if_they_are_true(document: Json) -> None:
    for kind, path, part in mutants(document, list(checker.RULES), 150, seed=1, below="statement"):
        mutant = changed(document, path, part)
        mutant["steps"][-1]["statement"] = mutant["statement"]
        try:
            checker.check(mutant)
        except Rejected:
            continue
        algebra, reader = checker.declared(mutant)
        inequality = reader.statement(mutant["statement"]).inequality
        assert inequality is not None
        found = box.prove(inequality, algebra, limits=box.Limits(parts=200, seconds=2))
        assert found.result != "refuted", f"{kind} at {path}: {at(document, path)} became {part}"


def hostile() -> dict[str, Json]:
    leaves: Json = "positive"
    for i in range(190):
        leaves = cut("x", f"{1000 - i}", leaves)
    full = reduce(lambda tree, _: form(tree), range(12), "positive")
    long = ["+", "1", *("x" for _ in range(50_000))]
    wide = ["+", "1", *(["exp", ["*", f"1/{i}", "x"]] for i in range(2, 3000))]
    divided = ["+", "1", *(["/", "x", less(["*", f"{i}", "x"], "-1/3")] for i in range(2, 300))]
    powers = reduce(lambda tree, _: ["^", tree, "999"], range(190), "x")
    layers = reduce(lambda tree, _: ["log", ["+", "2", tree, *("x" for _ in range(20))]], range(150), "x")
    polynomial = ["^", ["+", "x", "p", "n", ["exp", "x"]], "60"]
    numbers = [*(["exp", "9" * 190] for _ in range(900)), *(["^", "7" * 199, "-1000"] for _ in range(900))]
    return {
        "wide": on_boxes(wide, leaves),
        "deep": on_boxes(reduce(lambda tree, _: ["exp", tree], range(199), "x"), "positive"),
        "powers": on_boxes(["+", "1", powers], leaves),
        "exponentials": on_boxes(reduce(lambda tree, _: ["exp", tree], range(4), "x"), leaves),
        "many leaves": on_boxes(["+", "1", *(["log", ["+", "2", "x"]] for _ in range(200))], leaves),
        "identity": on_boxes(polynomial, full, forms=[("1", polynomial)]),
        "long numbers": on_boxes(["*", *numbers], leaves),
        "layers": on_boxes(layers, leaves),
        "wide forms": on_boxes(wide, *[full] * 9, boxes=[{}] * 9, forms=[(wide, "1")]),
        "forms of a long sum": on_boxes(long, *[full] * 5000, boxes=[{}] * 5000, forms=[("1", long)]),
        "leaves of a long sum": on_boxes(long, form(leaves), forms=[(long, "1")]),
        "many divisors": on_boxes(divided, form(leaves), forms=[(divided, "1")]),
        "many parameters": on_boxes("1", leaves, parameters={f"a{i}": reals(0) for i in range(20_000)}),
        "many boxes": on_boxes("x", *["positive"] * 50_000, boxes=[{"x": ["1", None]}] * 50_000),
    }


HOSTILE = hostile()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_certificate_ends_quickly(name: str) -> None:
    started = time.process_time()
    rejected(HOSTILE[name])
    assert time.process_time() - started < 20  # the limit on work ends what would run for hours


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3) | st.sampled_from(["positive", "K", "1/0"]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=150)
@given(data=st.data())
def test_junk_is_no_other_exception(data: st.DataObject, document: Json) -> None:
    spots = [path for path, _ in _all_places(document) if path and path[0] in ("statement", "steps", "parameters")]
    rejected(changed(document, data.draw(st.sampled_from(spots)), data.draw(JUNK)))


def _all_places(data: Json, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Json]]:
    found = [(path, data)]
    for key, part in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        found += _all_places(part, (*path, key))
    return found


def test_the_standard_library_is_enough(document: Json, tmp_path: Path) -> None:
    (tmp_path / "certificate.json").write_text(json.dumps(document))
    command = [sys.executable, "-I", "-S", checker.__file__, str(tmp_path / "certificate.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "> 0 for 16 <= K, 4 <= L <= 4 or 10 <= K, 5 <= L" in done.stdout
    assert "K >= 1, integer" in done.stdout
