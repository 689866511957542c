"""The checker cannot be fooled: false statements, changed certificates, malformed and hostile files."""

from __future__ import annotations

import copy
import json
import math
import os
import random
import subprocess
import sys
import time
from collections import Counter
from fractions import Fraction
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from certificates import (
    Json,
    at,
    calculus,
    certificate,
    changed,
    integers,
    letter,
    matrix,
    mutants,
    places,
    reals,
    says,
    scalar,
    scalar_certificate,
    size,
    step,
    term,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from tightframe.papers import registry
from tightframe.papers.store import shipped_certificate
from tightframe.theory.derivation import Proof
from tightframe.theory.proof import checker
from tightframe.theory.proof.certificate import binding
from tightframe.theory.proof.checker import Malformed, Rejected
from tightframe.theory.proof.refuter import true_in

IDS = [name for name, claim in registry.claims().items() if claim.derive is not None]
ONE = size(1)
P, X = size("p"), {"x": 1}


def proof_of(claim_id: str) -> Json:
    """The shipped certificate, which tests/test_claims.py compares with the derivation; a new claim has none yet."""
    shipped = shipped_certificate(claim_id)
    if shipped is not None:
        return shipped
    derivation = registry.claims()[claim_id].derivation
    assert derivation is not None
    proof = derivation.prove(claim_id)
    assert isinstance(proof, Proof), proof
    return json.loads(json.dumps(proof.certificate))


@pytest.fixture(scope="module")
def proofs() -> dict[str, Json]:
    return {claim_id: proof_of(claim_id) for claim_id in IDS}


# ------------------------------------------------------------------------------- false statements, once accepted


def size_restricts_a_parameter() -> Json:
    """p - 3 >= 0 for all p >= 1, as the squared length of p - 3 ones."""
    rest = [["-3", {}], ["1", {"p": 1}]]
    return certificate(
        step(
            "goal",
            "gram",
            says("nonnegative", scalar(term("-3"), term(mono={"p": 1}))),
            squares=[{"weight": scalar(term()), "factor": matrix(ONE, rest, term(word=["o'"]))}],
        ),
        parameters={"p": integers(1)},
        letters=[letter("o", rest, ONE, ones=True)],
        model={"parameters": {"p": "4"}, "letters": {"o": [["1"]]}},
    )


def size_is_not_an_integer() -> Json:
    """x >= 0 for every real x, as the trace of an identity."""
    side = [["1", X]]
    return certificate(
        step(
            "goal",
            "gram",
            says("nonnegative", scalar(term(mono=X))),
            squares=[{"weight": scalar(term()), "factor": matrix(side, side, term(word=[]))}],
        ),
        parameters={"x": reals(None)},
    )


def division_by_what_may_be_zero(*, hidden: bool) -> Json:
    """lambda B = 0 implies B = 0, for all lambda >= 0; by a cofactor 1/lambda, or by a substitution."""
    b = matrix(P, P, term(word=["B"]))
    scaled = says("zero", matrix(P, P, term(mono={"lam": 1}, word=["B"])))
    steps = [step("goal", "star", says("zero", b), cofactors=[{"of": "h", "c": "1", "m": {"lam": -1}}])]
    if hidden:
        product = matrix(P, P, term(mono={"lam": 1}, word=["Z", "B"]))
        identity = matrix(P, P, term(mono={"lam": -1}, word=[]))
        steps = [
            step("product", "star", says("zero", product), cofactors=[{"of": "h", "c": "1", "left": ["Z"]}]),
            step("goal", "substitute", says("zero", b), **{"from": "product", "values": {"Z": identity}}),
        ]
    return certificate(
        *steps,
        parameters={"lam": reals(0), "p": integers(1)},
        letters=[letter("B", P, P), letter("Z", P, P)],
        hypotheses={"h": scaled},
        model={"parameters": {"lam": "1", "p": "1"}, "letters": {"B": [["0"]], "Z": [["0"]]}},
    )


def identity_of_another_size() -> Json:
    """c I_p = 0 implies c I_n = 0, although p may be 0."""
    n = size("n")
    return certificate(
        step(
            "goal", "star", says("zero", matrix(n, n, term(mono={"c": 1}, word=[]))), cofactors=[{"of": "h", "c": "1"}]
        ),
        parameters={"p": integers(0), "n": integers(1), "c": reals(0)},
        hypotheses={"h": says("zero", matrix(P, P, term(mono={"c": 1}, word=[])))},
        model={"parameters": {"p": "1", "n": "1", "c": "0"}, "letters": {}},
    )


def decay_of_a_sum(count: Json) -> Json:
    """Along dw/dt = 1/w, that is w^2/2 = t + const, the sum of 1/w over ``count`` solutions is ~ count (2 t)^(-1/2)."""
    statement = calculus("decay", ["*", "1/2", ["^", "w", "2"]], "w")
    statement |= {"rate": ["/", "1", "w"], "coefficient": "1/2", "exponent": "2"}
    statement |= {"quantity": ["/", "1", "w"], "power": "1", "limit": "1", "count": count}
    return certificate(
        step("goal", "decay", statement), parameters={"w": reals(0, open=True), "k": integers(1), "x": reals(0)}
    )


REAL = {"x": reals(0, open=True), "y": reals(0, open=True), "k": integers(1)}
FALSE: dict[str, Json] = {
    "a size restricts a parameter": size_restricts_a_parameter(),
    "a size is not an integer": size_is_not_an_integer(),
    "division by zero": division_by_what_may_be_zero(hidden=False),
    "division by zero in a substitution": division_by_what_may_be_zero(hidden=True),
    "an identity of another size": identity_of_another_size(),
    # log(-x) + log(-2x) is nowhere defined on x > 0
    "logarithms of negative numbers": scalar_certificate(
        "monotone", "increasing", ["+", "f", "g"], f=["log", ["*", "-1", "x"]], g=["log", ["*", "-2", "x"]]
    ),
    # 1/(1/(x-1)) is undefined at 1
    "a hole in the range": scalar_certificate("monotone", "increasing", ["/", "1", ["/", "1", ["+", "x", "-1"]]]),
    # d/dx (x + 0^k) is 1, not 0
    "a power of zero": scalar_certificate(
        "field", "vanishes", ["D", ["+", "x", "g"], "x"], REAL, g=["power", "0", "k"]
    ),
    "the logarithm of zero": scalar_certificate("field", "vanishes", ["D", ["+", "x", "g"], "x"], g=["log", "0"]),
    # d x / d log x is x, not 0
    "derivative in a generator": scalar_certificate("field", "vanishes", ["D", "x", "g"], g=["log", "x"]),
    "derivative in an integer": scalar_certificate("field", "vanishes", ["D", "x", "k"], REAL),
    # w' = y in x: w = x y + const depends on y
    "a flow and another parameter": scalar_certificate(
        "field", "vanishes", ["D", "w", "y"], REAL, w=["flow", "x", "y"]
    ),
    "a flow along a generator": scalar_certificate(
        "field", "vanishes", ["+", ["D", "w", "x"], "-1"], w=["flow", "g", "1"], g=["exp", "x"]
    ),
    "a generator of itself": scalar_certificate("field", "vanishes", ["+", "g", ["*", "-1", "g"]], g=["exp", "g"]),
    "a generator in a circle": scalar_certificate(
        "field", "vanishes", ["+", "g", ["*", "-1", "g"]], g=["exp", "h"], h=["log", "g"]
    ),
    "one logarithm twice": scalar_certificate(
        "field", "vanishes", ["*", "0", ["/", "1", ["+", "g", ["*", "-1", "h"]]]], g=["log", "x"], h=["log", "x"]
    ),
    "a generator called like a parameter": scalar_certificate("field", "vanishes", ["+", "x", "-1"], x=["exp", "0"]),
    "a constant in a denominator": scalar_certificate(
        "dominance", "tends", ["/", "1", ["*", "c", "x"]], {"x": reals(1), "c": reals(0)}
    ),
    "a sum over -1 solutions": decay_of_a_sum("-1"),
    "a sum over half a solution": decay_of_a_sum(["*", "1/2", "k"]),
    "a sum over x solutions": decay_of_a_sum("x"),
    "true for 1": {**division_by_what_may_be_zero(hidden=False), "format": True},
}


@pytest.mark.parametrize("name", FALSE)
def test_a_false_statement_is_not_accepted(name: str) -> None:
    with pytest.raises(Rejected):
        checker.check(FALSE[name])


def test_a_sum_over_solutions_is_accepted() -> None:
    checker.check(decay_of_a_sum(["+", "k", "2"]))


def test_dividing_is_allowed_where_the_statement_divides() -> None:
    """1/lambda in the hypothesis says that lambda is not zero, and the report says so too."""
    document = division_by_what_may_be_zero(hidden=False)
    document["hypotheses"][0]["statement"]["poly"]["terms"].append(term(mono={"lam": -1}, word=["B"]))
    document["steps"][0]["statement"]["poly"]["terms"].append(term(mono={"lam": -2}, word=["B"]))
    document["statement"] = document["steps"][0]["statement"]
    assert checker.check(document).assumed_nonzero == ("lam",)


# ------------------------------------------------------------------------- false statements that were never accepted


def trace_rule(goal: Json, **more: Json) -> Json:
    letters = [letter("A", P, P), letter("S", P, P, symmetric=True), letter("B", P, P)]
    values = {name: [["1", "2"], ["2", "3"]] for name in ("A", "S", "B")}
    model = {"parameters": {"p": "2"}, "letters": values}
    return certificate(*goal, parameters={"p": integers(1)}, letters=letters, model=model, **more)


def test_tempting_steps_are_rejected() -> None:
    a, s = matrix(P, P, term(word=["A"])), matrix(P, P, term(word=["S"]))
    gram = {"squares": [{"weight": scalar(term("-1")), "factor": a}]}
    negative = says("psd", matrix(P, P, term("-1", word=["A", "A'"])))
    twice = says("zero", matrix(P, P, term(word=["A"]), term("-1", word=["A'"])))
    zero_norm = says("zero", scalar(term(traces=[["A", "B", "A'"]])))
    square = {"squares": [{"weight": scalar(term()), "factor": a, "metric": "metric"}]}
    metric = says("psd", matrix(P, P, term(word=["B"])))
    flat = {"parameters": {"p": "1"}, "letters": {"A": [["0"]], "S": [["1"]], "B": [["1"]]}}
    cases = {
        "negative weight": trace_rule([step("goal", "gram", negative, **gram)]),
        "A = A'": trace_rule([step("goal", "star", twice, cofactors=[])]),
        "shift by zero": trace_rule(
            [
                step(
                    "base",
                    "gram",
                    says("psd", matrix(P, P, term(word=["A", "A'"]))),
                    squares=[{"weight": scalar(term()), "factor": a}],
                ),
                step("goal", "shift", says("pd", matrix(P, P, term(word=["A", "A'"]))), base="base", shift=scalar()),
            ]
        ),
        "norm in a semi-definite metric": trace_rule(
            [step("goal", "norm-zero", says("zero", a), norm="norm", **square)],
            hypotheses={"norm": zero_norm, "metric": metric},
        )
        | {"model": flat},
        "a symmetric letter replaced": trace_rule(
            [
                step(
                    "source",
                    "star",
                    says("zero", matrix(P, P, term(word=["S"]), term("-1", word=["S'"]))),
                    cofactors=[],
                ),
                step("goal", "substitute", twice, **{"from": "source", "values": {"S": a}}),
            ]
        ),
        "a restricted letter replaced": trace_rule(
            [step("goal", "substitute", says("zero", s), **{"from": "h", "values": {"A": s}})],
            hypotheses={"h": says("zero", a)},
        )
        | {"model": flat},
        "contradictory hypotheses": trace_rule(
            [step("goal", "star", says("zero", a), cofactors=[{"of": "h", "c": "1", "left": ["A"]}])],
            hypotheses={"h": says("zero", matrix(P, P, term(word=[])))},
        ),
        "an inverse nobody knows to exist": trace_rule(
            [step("goal", "inverse", says("zero", matrix(P, P, term(word=["A"]))), letter="A", because="h")],
            hypotheses={"h": says("zero", matrix(P, P))},
        ),
        "a hypothesis repeated as a step": trace_rule(
            [step("h", "star", says("zero", s), cofactors=[])], hypotheses={"h": says("zero", matrix(P, P))}
        ),
        "a step that uses itself": trace_rule(
            [step("goal", "star", says("zero", a), cofactors=[{"of": "goal", "c": "1"}])]
        ),
    }
    for name, document in cases.items():
        assert ends_quickly(document) in ("rejected", "malformed"), name


def test_an_undefined_inverse_in_the_statement_is_rejected() -> None:
    """A^{-1} - A^{-1} aside: tr(A^{-1}) = tr(A^{-T}) says nothing where A is singular."""
    inverse = letter("R", P, P, inverse_of=matrix(P, P, term(word=["A"])))
    goal = says("nonnegative", scalar(term(traces=[["R", "R'"]])))
    factor = {"weight": scalar(term()), "factor": matrix(P, P, term(word=["R"]))}
    document = certificate(
        step("goal", "gram", goal, squares=[factor]),
        parameters={"p": integers(1)},
        letters=[letter("A", P, P), inverse],
        model={"parameters": {"p": "1"}, "letters": {"A": [["2"]], "R": [["1/2"]]}},
    )
    with pytest.raises(Rejected, match="not known to exist"):
        checker.check(document)


# ----------------------------------------------------------------------------------- one token of a real certificate

RULES = list(checker.RULES)


def quota(document: Json, most: int = 120) -> int:
    """How many mutants: the longer a certificate, the longer each of them takes."""
    return max(30, min(most, 10_000 * most // len(json.dumps(document))))


def value_at_a_point(tree: Any, generators: tuple[Any, ...]) -> Any:
    """An expression as a rational function has one value however it is written; the point is fixed by the names."""

    def value(poly: checker.Commutative) -> Fraction:
        names = {name for mono in poly for name, _ in mono}
        point = {name: Fraction(random.Random(name).randint(10**6, 10**9)) for name in names}
        return sum((x * math.prod(point[name] ** e for name, e in mono) for mono, x in poly.items()), Fraction(0))

    top, bottom = checker.Field(dict(generators)).quotient(tree)
    return value(top) / value(bottom)


def scalar_meaning(goal: checker.Statement) -> Any:
    if goal.calculus is None:
        return goal
    generators = goal.calculus.generators
    trees = [goal.calculus.tree]
    numbers: list[Any] = [goal.kind, goal.calculus.variable]
    for name in checker.MOTION_FIELDS if goal.motion is not None else ():
        part = getattr(goal.motion, name)
        (numbers if isinstance(part, int) else trees).append(part)
    for name, (kind, *arguments) in generators:
        numbers.append((name, kind, *(arguments[:1] if kind == "flow" else ())))
        trees += arguments[kind == "flow" :]
    return [numbers, *(value_at_a_point(tree, generators) for tree in trees)]


def meaning(document: Json) -> Any:
    """What is stated, however it is written: sums in any order, S' for a symmetric S."""
    algebra, reader = checker.declared(document)
    hypotheses = [(entry["name"], reader.statement(entry["statement"])) for entry in document["hypotheses"]]
    lemmas = [entry.get("lemma") for entry in document["hypotheses"]]
    goal = reader.statement(document["statement"])
    used = algebra.names(*goal.polynomials(), *(poly for _, s in hypotheses for poly in s.polynomials()))
    letters = {name: value for name, value in algebra.letters.items() if name in used}
    return scalar_meaning(goal), sorted(hypotheses, key=lambda h: h[0]), lemmas, letters, algebra.parameters


def true_in_its_model(document: Json) -> bool:
    algebra, reader = checker.declared(document)
    return true_in(reader.statement(document["statement"]), algebra, checker.read_model(document, reader))


def verdict(document: Json, original: Json) -> str:
    """``rejected``, or why it is harmless that the checker accepts; ``fooled`` otherwise."""
    try:
        checker.check(document)
    except Rejected:
        return "rejected"
    scalar = "calculus" in document["statement"]  # what is left to change is the range of a parameter
    if binding(document) == binding(original):
        return "same binding"  # another proof of the same statement
    if meaning(document) == meaning(original):
        return "same meaning"  # its JSON differs, so no claim accepts it
    if "unique" in original["statement"] and meaning(document) == meaning(
        changed(original, ("statement", "unique"), False)
    ):
        return "weaker"  # a minimum, without saying that it is the only one
    if document["statement"] == original["statement"] and (scalar or true_in_its_model(document)):
        return "other setting"  # a hypothesis, range or letter was changed that the proof does not need
    return "fooled"


@pytest.mark.parametrize("claim_id", IDS)
def test_one_token_changes(claim_id: str, proofs: dict[str, Json]) -> None:
    one_token_changes(proofs[claim_id], quota(proofs[claim_id]))


@pytest.mark.slow
@pytest.mark.parametrize("claim_id", IDS)
def test_more_one_token_changes(claim_id: str, proofs: dict[str, Json]) -> None:
    one_token_changes(proofs[claim_id], quota(proofs[claim_id], most=420))


def one_token_changes(original: Json, count: int) -> None:
    chosen = mutants(original, RULES, count, seed=0)
    outcomes: Counter[str] = Counter()
    for kind, path, part in chosen:
        found = verdict(changed(original, path, part), original)
        outcomes[found] += 1
        assert found != "fooled", f"{kind} at {path}: {at(original, path)} became {part}"
    assert outcomes["rejected"] > 0.7 * len(chosen), outcomes


@pytest.mark.parametrize("claim_id", IDS)
def test_one_token_changes_of_the_statement_and_its_step(claim_id: str, proofs: dict[str, Json]) -> None:
    """The same slip in the claim and in the last step: now only the rule itself can notice."""
    original = proofs[claim_id]
    for kind, path, part in mutants(original, RULES, min(60, quota(original) // 2), seed=1, below="statement"):
        document = changed(original, path, part)
        document["steps"][-1]["statement"] = document["statement"]
        found = verdict(document, original)
        # A decay holds for any number of solutions that is a natural number: with another count it is another theorem.
        theorem = found == "fooled" and path[:2] == ("statement", "count")
        harmless = theorem or found in ("rejected", "same meaning", "weaker")
        assert harmless, f"{kind} at {path}: {at(original, path)} became {part}"


def test_a_proof_of_another_statement_is_rejected(proofs: dict[str, Json]) -> None:
    for claim_id, document in proofs.items():
        for other_id, other in proofs.items():
            if claim_id != other_id and document["statement"] != other["statement"]:
                with pytest.raises(Rejected):
                    checker.check({**document, "statement": other["statement"]})


def test_what_is_used_is_reported(proofs: dict[str, Json]) -> None:
    report = checker.check(proofs["han2022/central-path-loss"])
    assert report.conditional_on == ("positive definite square root", "singular value decomposition")
    assert all(used for _, _, used in report.hypotheses)
    diagonal = r"diag(\mathbf{w})"
    assert f"inv1: C - 1 x C - 1 symmetric = (C I + {diagonal} {diagonal})^-1" in report.where
    assert "C >= 2, integer" in report.where


# ------------------------------------------------------------------------------------------------- malformed files

QUICK = 10.0  # seconds of processor time: the limit on work ends what would run for hours, on a slow machine too


def ends_quickly(document: Json) -> str:
    started = time.process_time()
    try:
        checker.check(document)
        result = "accepted"
    except Malformed:
        result = "malformed"
    except Rejected:
        result = "rejected"
    assert time.process_time() - started < QUICK
    return result


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300)
@given(data=st.data())
def test_junk_anywhere_is_no_other_exception(data: st.DataObject, proofs: dict[str, Json]) -> None:
    document = proofs[data.draw(st.sampled_from(IDS[1:3]))]
    spots = [path for path, _ in places(document) if path]
    mutant = changed(document, data.draw(st.sampled_from(spots)), data.draw(JUNK))
    ends_quickly(mutant)


@given(JUNK)
def test_junk_alone_is_malformed(junk: Json) -> None:
    with pytest.raises(Malformed):
        checker.check(junk)


@settings(max_examples=60)
@given(data=st.data())
def test_truncated_text_is_malformed(data: st.DataObject, proofs: dict[str, Json]) -> None:
    text = json.dumps(proofs["han2022/total-covariance"])
    with pytest.raises(Malformed):
        checker.loads(text[: data.draw(st.integers(0, len(text) - 1))])


@pytest.mark.parametrize(
    "text",
    [
        '{"format": 1, "format": 1}',
        "1.0",
        "[1e5]",
        "NaN",
        "[-Infinity]",
        "9" * 5000,
        "[" * 100_000,
        '{"a":' * 100_000,
        b"\xff\xfe\x00",
        '"\\ud800',
        " " * (checker.MAX_BYTES + 1),
        "",
    ],
    ids=lambda text: repr(text)[:20],
)
def test_text_that_is_no_document(text: str | bytes) -> None:
    with pytest.raises(Malformed):
        checker.loads(text)


@pytest.mark.parametrize("text", ["1.0", "²", "१", "1_0", "+1", "1/0", "1/-2", "--1", "-", "", "1/", "0x1", "9" * 300])
def test_numbers_are_plain_fractions(text: str) -> None:
    with pytest.raises(Malformed):
        checker.rational(text)


@pytest.mark.parametrize("value", [1, 1.0, True, None, [1], {"a": 1}])
def test_numbers_are_strings(value: object) -> None:
    with pytest.raises(Malformed):
        checker.rational(value)


def test_names_are_one_printable_line(proofs: dict[str, Json]) -> None:
    document = proofs["han2022/total-covariance"]
    for path in (("claim",), ("hypotheses", 0, "name"), ("steps", 0, "name"), ("letters", 0, "name")):
        for name in ("a\naccepted: han2022/ls-classifier", "\x1b[2J", "\ud800", "", "x" * 300, 3, ["a"]):
            with pytest.raises(Malformed):
                checker.check(changed(document, path, name))


# ---------------------------------------------------------------------------------------------------- hostile files


def many(count: int, template: str) -> list[str]:
    return [template.format(i) for i in range(count)]


def tower(kind: str, count: int) -> dict[str, Json]:
    """Generators of which each needs the two before it."""
    tree: dict[str, Json] = {"g0": [kind, "x"], "g1": [kind, ["*", "2", "x"]]}
    for i in range(2, count):
        tree[f"g{i}"] = [kind, ["+", f"g{i - 1}", f"g{i - 2}"]]
    return tree


def reciprocals(count: int) -> Json:
    letters = [{"name": f"r{i}", "scalar": True, "inverse_of": scalar(term(mono={"x": i + 1}))} for i in range(2)]
    for i in range(2, count):
        inner = scalar(term(mono={f"r{i - 1}": 1}), term(mono={f"r{i - 2}": 1}))
        letters.append({"name": f"r{i}", "scalar": True, "inverse_of": inner})
    goal = says("zero", scalar(term(mono={f"r{count - 1}": -1}), term("-1", mono={f"r{count - 1}": -1})))
    return certificate(step("goal", "star", goal, cofactors=[]), parameters={"x": reals(0, open=True)}, letters=letters)


def abbreviations(count: int) -> Json:
    letters = [letter(f"Z{i}", P, P) for i in range(2)]
    for i in range(2, count):
        letters.append(letter(f"Z{i}", P, P, equals=matrix(P, P, term(word=[f"Z{i - 1}", f"Z{i - 2}"]))))
    goal = says("zero", matrix(P, P, term(word=[f"Z{count - 1}"]), term("-1", word=[f"Z{count - 1}"])))
    values = {entry["name"]: [["1"]] for entry in letters}
    goal_step = step("goal", "substitute", goal, **{"from": "h", "values": {}})
    document = certificate(goal_step, parameters={"p": integers(1)}, letters=letters, hypotheses={"h": goal})
    return document | {"model": {"parameters": {"p": "1"}, "letters": values}}


def long_traces() -> Json:
    cycle = ["A", "A"] * 190 + ["A'"]
    goal = says("zero", scalar(*(term(str(i + 1), traces=[cycle]) for i in range(900))))
    return certificate(
        step("goal", "star", goal, cofactors=[]), parameters={"p": integers(1)}, letters=[letter("A", P, P)]
    )


def big_model(side: int, digits: int, kind: str = "psd") -> Json:
    rng = random.Random(0)
    value = [[str(rng.randrange(10 ** (digits - 1), 10**digits)) for _ in range(side)] for _ in range(side)]
    a = says(kind, matrix(P, P, term(word=["A", "A'", "A"])))
    return certificate(
        step("goal", "rewrite", a),
        parameters={"p": integers(1)},
        letters=[letter("A", P, P)],
        hypotheses={"h": a},
        model={"parameters": {"p": str(side)}, "letters": {"A": value}},
    )


def sum_of_unit_fractions() -> Json:
    rng = random.Random(0)
    terms = [term(f"1/{rng.randrange(10**195, 10**196)}", mono=X) for _ in range(5000)]
    return certificate(step("goal", "star", says("zero", scalar(*terms)), cofactors=[]), parameters={"x": reals(0)})


HOSTILE: dict[str, Json] = {
    "power of a power": scalar_certificate("field", "vanishes", ["^", ["^", ["+", "x", "1"], "999"], "999"]),
    "power of a number": scalar_certificate("field", "vanishes", ["^", ["^", "9" * 190, "999"], "999"]),
    "power of a sum": scalar_certificate("field", "vanishes", ["^", ["+", "x", "y", "k", "1"], "400"], REAL),
    "sign of a power": scalar_certificate(
        "monotone", "increasing", ["^", ["+", "x", "y"], "600"], REAL | {"y": reals(3)}
    ),
    "tower of exponentials": scalar_certificate("field", "vanishes", ["D", "g60", "x"], **tower("exp", 61)),
    "long tower": scalar_certificate("field", "vanishes", ["D", "g4999", "x"], **tower("exp", 5000)),
    "derivatives of derivatives": scalar_certificate(
        "field", "vanishes", reduce(lambda t, _: ["D", t, "x"], range(150), ["/", "x", ["+", "x", "1"]])
    ),
    "tower of reciprocals": reciprocals(60),
    "tower of abbreviations": abbreviations(60),
    "long traces": long_traces(),
    "big model": big_model(150, 3),
    "big entries": big_model(30, 190, "invertible"),
    "wide identity": certificate(
        step("goal", "rewrite", says("psd", matrix(P, P, term(word=[])))),
        parameters={"p": integers(1)},
        hypotheses={"h": says("psd", matrix(P, P, term(word=[])))},
        model={"parameters": {"p": "9999"}, "letters": {}},
    ),
    "unit fractions": sum_of_unit_fractions(),
    "huge exponent": certificate(
        step("goal", "star", says("zero", scalar(term(mono={"x": 10**4000}))), cofactors=[]), parameters={"x": reals(0)}
    ),
    "many steps": certificate(
        *(step(name, "star", says("zero", scalar()), cofactors=[]) for name in many(1900, "step {}")),
        step("goal", "gram", says("psd", matrix(P, P)), squares=[]),
        parameters={"p": integers(1)},
    ),
    "nested statements": certificate(
        step("goal", "all", reduce(lambda s, _: {"kind": "all", "parts": [s]}, range(400), {}))
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_certificate_ends_quickly(name: str) -> None:
    assert ends_quickly(HOSTILE[name]) != "accepted" or name == "tower of abbreviations"  # true, and cheap


def test_real_certificates_stay_far_below_the_limits(proofs: dict[str, Json], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker, "MAX_WORK", checker.MAX_WORK // 4)
    for document in proofs.values():
        assert len(json.dumps(document)) < checker.MAX_BYTES / 4
        checker.check(document)


# ---------------------------------------------------------------------------------------------------- the command


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", checker.__file__, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def test_exit_codes(tmp_path: Path, proofs: dict[str, Json]) -> None:
    good = copy.deepcopy(proofs["han2022/total-covariance"])
    bad = {**good, "steps": good["steps"][:-1]}
    files = {
        "good": json.dumps(good),
        "bad": json.dumps(bad),
        "none": "{",
        "spoof": json.dumps({**good, "format": "\n"}),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    accepted, rejected = run(str(tmp_path / "good")), run(str(tmp_path / "bad"))
    assert (accepted.returncode, accepted.stderr) == (0, "")
    assert accepted.stdout.startswith("accepted: han2022/total-covariance\n")
    assert (rejected.returncode, rejected.stderr) == (1, "")
    assert rejected.stdout.startswith("rejected: ")
    for path in ("none", "spoof", "absent"):
        malformed = run(str(tmp_path / path))
        assert (malformed.returncode, malformed.stdout) == (2, ""), malformed
        assert malformed.stderr.startswith("tightframe: ")
        assert malformed.stderr.count("\n") == 1
    assert run().returncode == run("a", "b").returncode == 2


def test_it_prints_in_any_locale(tmp_path: Path) -> None:
    document = scalar_certificate("field", "vanishes", ["+", "λ", ["*", "-1", "λ"]], {"λ": reals(0)}, variable="λ")
    (tmp_path / "greek").write_text(json.dumps(document))
    done = run(str(tmp_path / "greek"), LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("accepted: ")
