"""Scalar calculus: identities with x^M, log, exp, softmax and flows, and their slips of the pen."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import sympy as sp
from certificates import Json, integers, reals, scalar_certificate
from hypothesis import given, settings
from strategies import seeds
from theorems import Theorem, assert_controls_fail, assert_proved
from tightframe.theory.derivation import Failure
from tightframe.theory.proof import checker, field
from tightframe.theory.proof.rules import Field
from tightframe.theory.proof.statement import Identity
from tightframe.theory.proof.translation import Translation
from tightframe.theory.symbols import integers as whole
from tightframe.theory.symbols import reals as real

x, y, z = (sp.Symbol(name, positive=True) for name in "xyz")
M = sp.Symbol("M", integer=True, positive=True)
PARAMETERS = {x: real(0, open=True), y: real(0, open=True), z: real(0, open=True), M: whole(1)}
D, log, exp = sp.Derivative, sp.log, sp.exp
softmax = exp(x) / (exp(x) + exp(y) + exp(z))
other = exp(y) / (exp(x) + exp(y) + exp(z))

IDENTITIES = {
    "a power": (D(x**M, x), M * x ** (M - 1), (M + 1) * x ** (M - 1)),
    "powers add": (x ** (2 * M + 1), (x**M) ** 2 * x, (x**M) ** 2),
    "a logarithm": (D(x * log(x) - x, x), log(x), log(x) + 1),
    "an exponential": (D(exp(x * y), x), y * exp(x * y), x * exp(x * y)),
    "a quotient": (D(1 / (1 + x**M), x), -M * x ** (M - 1) / (1 + x**M) ** 2, M * x ** (M - 1) / (1 + x**M) ** 2),
    "a second derivative": (D(log(x), x, x), -1 / x**2, 1 / x**2),
    "a mixed derivative": (D(x**2 * y**3, x, y), 6 * x * y**2, 6 * x**2 * y),
    "softmax": (D(softmax, x), softmax * (1 - softmax), softmax * (1 + softmax)),
    "softmax of another": (D(softmax, y), -softmax * other, softmax * other),
    "log of a softmax": (D(log(exp(x) + exp(y)), x), exp(x) / (exp(x) + exp(y)), exp(y) / (exp(x) + exp(y))),
    "entropy": (D(-x * log(x) - y * log(y), x), -log(x) - 1, -log(x)),
    "first integral": (
        D(y**2 * log(x) + y * x**2 + x**4 / 4, x),
        (y + x**2) ** 2 / x,
        (y + x**2) ** 2,
    ),
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_identity_and_its_slip(name: str) -> None:
    left, right, wrong = IDENTITIES[name]
    sample: Any = lambda rng: dict.fromkeys(PARAMETERS, 1)  # noqa: E731
    theorem = Theorem(
        Identity(left, right, x),
        sample=sample,
        by=Field(),
        parameters=PARAMETERS,
        false={
            "slip": Identity(left, wrong, x),
            "sign": Identity(left, -right, x),
            "scale": Identity(left, 2 * right, x),
        },
    )
    assert_proved(theorem)
    assert_controls_fail(theorem)


def test_powers_that_agree_at_one_exponent_only_are_different() -> None:
    theorem = Theorem(Identity(x**M, x**2, x), sample=lambda rng: {}, by=Field(), parameters=PARAMETERS)
    assert isinstance(theorem.prove(), Failure)


# ---------------------------------------------------------------------------------- an ODE with its first integral

FLOW = {"w": reals(0, open=True), "t": reals(0), "C": integers(2), "k": reals(0, open=True)}


def first_integral(slope: Json) -> Json:
    """d/dt of C^2 log u + C u^2 + u^4/4 - k t along u' = slope."""
    value = ["+", ["*", ["^", "C", "2"], "l"], ["*", "C", ["^", "u", "2"]], ["*", "1/4", ["^", "u", "4"]],
             ["*", "-1", "k", "t"]]  # fmt: skip
    generators = {"u": ["flow", "t", slope], "l": ["log", "u"]}
    return scalar_certificate("field", "vanishes", ["D", value, "t"], FLOW, "t", **generators)


SLOPE = ["/", ["*", "k", "u"], ["^", ["+", "C", ["^", "u", "2"]], "2"]]


def test_a_first_integral_is_constant_along_its_flow() -> None:
    report = checker.check(first_integral(SLOPE))
    assert any(line.startswith("d/dt(u) = ") for line in report.where)


@pytest.mark.parametrize(
    "slope",
    [
        ["/", ["*", "k", "u"], ["+", "C", ["^", "u", "2"]]],  # renormalised instead of projected
        ["*", "-1", SLOPE],
        ["*", "2", SLOPE],
        ["/", "k", ["^", ["+", "C", ["^", "u", "2"]], "2"]],
    ],
)
def test_it_is_not_constant_along_another_flow(slope: Json) -> None:
    with pytest.raises(checker.Rejected):
        checker.check(first_integral(slope))


def test_coupled_flows() -> None:
    """u' = v, v' = -u keeps u^2 + v^2, not u^2 - v^2."""
    for sign, accepted in (("1", True), ("-1", False)):
        value = ["+", ["^", "u", "2"], ["*", sign, ["^", "v", "2"]]]
        document = scalar_certificate(
            "field", "vanishes", ["D", value, "t"], FLOW, "t", u=["flow", "t", "v"], v=["flow", "t", ["*", "-1", "u"]]
        )
        if accepted:
            checker.check(document)
        else:
            with pytest.raises(checker.Rejected):
                checker.check(document)


# ----------------------------------------------------------------------------------------- two deciders, one answer


def random_tree(rng: random.Random, depth: int) -> Json:
    if depth == 0:
        return rng.choice(["x", "y", "g", "h", "p", "2", "-1/3"])
    operator = rng.choice(["+", "*", "*", "/", "^", "D"])
    if operator == "^":
        return ["^", random_tree(rng, depth - 1), str(rng.randint(-1, 2))]
    if operator == "D":
        return ["D", random_tree(rng, depth - 1), rng.choice(["x", "y"])]
    return [operator, random_tree(rng, depth - 1), random_tree(rng, depth - 1)]


@settings(max_examples=80)
@given(seed=seeds())
def test_the_search_and_the_checker_decide_alike(seed: int) -> None:
    """FLINT's normal form is zero exactly where the checker's numerator is; a tree minus itself always is."""
    rng = random.Random(seed)
    tree = random_tree(rng, 3)
    generators = {"g": ["log", "x"], "h": ["exp", ["*", "x", "y"]], "p": ["power", "x", "y"]}
    if rng.random() < 0.5:
        tree = ["+", tree, ["*", "-1", tree]]
    for variable in ("x", "y"):
        data = {"variable": variable, "generators": generators, "tree": tree}
        reader = checker.Reader(
            checker.Algebra({"x": checker.Range(checker.Fraction(0), True), "y": checker.Range(None)})
        )
        calculus = reader.calculus(json.loads(json.dumps(data)))
        try:
            vanishes = not calculus.quotient()[0]
        except checker.Rejected:  # a division by zero, or an exponent differentiated
            return
        assert vanishes == (field.numerator(calculus) == "0")


def test_names_of_generators_are_shown() -> None:
    reading = Translation(PARAMETERS)
    calculus = reading.statement(Identity(x**M * log(x), exp(y), x)).calculus
    assert calculus is not None
    assert [name for name, _ in calculus.generators] == ["exp(y)", "log(x)", "x^M"]
