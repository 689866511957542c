"""Global minima of deep linear models: proofs, their negative controls, the lemma of balanced layers, predictions."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from tightframe import papers
from tightframe.numerics import initialisers, minimisation
from tightframe.numerics.deep_linear import DeepLinearUFM
from tightframe.papers import cli, registry
from tightframe.papers.dang2023 import balanced, deep
from tightframe.papers.general_target import minima as any_target
from tightframe.papers.general_target import setting as any_setting
from tightframe.theory import critical_examples, critical_values, deep_linear, global_minima, scalar_problem
from tightframe.theory.critical_values import CriticalPoint, gamma, lam_H
from tightframe.theory.derivation import Derivation, Failure, Proof, Setting, Step
from tightframe.theory.proof.certificate import complete_model
from tightframe.theory.proof.refuter import true_in
from tightframe.theory.proof.rules import Star
from tightframe.theory.proof.star import Limits
from tightframe.theory.proof.statement import Equal
from tightframe.theory.scalar_problem import M, x
from tightframe.theory.symbols import frobenius_squared

Decays = tuple[float, ...]
K = critical_values.K
QUICK = Limits(seconds=1.0, slack=1)

# ---------------------------------------------------------------------------------------- proofs, and what must not be


def rejected(where: Setting, steps: tuple[Step, ...], says: Equal, using: tuple[str, ...]) -> bool:
    """Whether no certificate is found for a statement from earlier steps."""
    wrong = Step("wrong", says, "", Star(using, QUICK))
    return isinstance(Derivation("wrong", where, (*steps, wrong)).prove(), Failure)


def test_wrong_constants_are_not_proved() -> None:
    at, where = lengths_of_labels()
    steps = critical_values.gap_steps(at)
    using = ("residual", "ridge", "lengths", "sum of decays")
    matrix = at.spectral(at.spectrum, at.power)
    assert rejected(where, steps, Equal(at.value, sp.Trace(matrix)), using)
    more = matrix + gamma * at.spectrum
    assert rejected(where, steps, Equal(at.value, sp.Trace(more) / 2), using)
    squares = at.weights * at.weights.T
    assert rejected(where, steps, Equal(squares, lam_H * at.power), ("power", "gamma"))
    other = at.weights.T * at.weights
    assert rejected(where, steps, Equal(at.features * at.given.T, other.inv() * at.features * at.given.T), using)
    assert rejected(where, steps, Equal(at.value - at.least, frobenius_squared(at.excess)), ("value", "excess"))


def lengths_of_labels() -> tuple[CriticalPoint, Setting]:
    return deep.lengths.at, deep.lengths_setting


@pytest.mark.parametrize(
    ("problem", "where", "lost"),
    [
        (deep.lengths, deep.lengths_setting, ("critical in H", "power", "sum of decays", "minimiser", "settled")),
        (balanced.frame, balanced.frame_setting, ("equal classes", "X_opt", "unique eigenvalues")),
        (balanced.simplex, balanced.simplex_setting, ("critical in b", "class sizes", "frame")),
        (any_target, any_setting, ("critical in W_M", "offset", "critical in b", "centred targets")),
    ],
    ids=["labels", "balanced", "bias", "any target"],
)
def test_every_hypothesis_is_needed(problem: Any, where: Setting, lost: tuple[str, ...]) -> None:
    derivation = global_minima.minima(problem, where)
    assert isinstance(derivation.prove(), Proof)
    for name in lost:
        kept = replace(where, hypotheses=tuple(h for h in where.hypotheses if h.name != name))
        assert len(kept.hypotheses) == len(where.hypotheses) - 1
        assert isinstance(replace(derivation, setting=kept).prove(), Failure), name


@pytest.mark.parametrize(
    ("problem", "where", "changes"),
    [
        (
            balanced.simplex,
            balanced.simplex_setting,
            {
                "least": lambda at: Equal(at.value, (1 / (1 + x**M) + M * K * gamma * x) / 2),
                "bias": lambda at: Equal(at.free, critical_values.ones(K) / (K - 1)),
                "frame of weights": lambda at: Equal(
                    at.weights * at.weights.T, at.samples * lam_H * x**M * sp.Identity(K)
                ),
            },
        ),
        (
            balanced.frame,
            balanced.frame_setting,
            {
                "frame of means": lambda at: Equal(
                    balanced.frame.means.T * balanced.frame.means,
                    x**M / (at.samples * lam_H * (1 + x**M)) * sp.Identity(K),
                ),
                "alignment": lambda at: Equal(at.weights, at.samples * lam_H * balanced.frame.means.T),
            },
        ),
    ],
    ids=["bias", "no bias"],
)
def test_wrong_frames_are_refuted(problem: Any, where: Setting, changes: dict[str, Any]) -> None:
    derivation = global_minima.minima(problem, where)
    for name, wrong in changes.items():
        steps = tuple(
            replace(step, says=wrong(problem.at)) if step.name == name else step
            for step in derivation.steps
            if step.name != "together"
        )
        found = replace(derivation, steps=steps).prove()
        assert isinstance(found, Failure), name
        assert (found.step, found.witness is not None) == (name, True)


@pytest.mark.parametrize(
    "name",
    [
        "dang2023/balanced-of",
        "dang2023/balanced-etf",
        "dang2023/imbalanced-deep",
        "dang2023/scalar-reduction",
        "dang2023/bottleneck",
        "dang2023/coexistence",
        "liu2024/geometry",
        "liu2024/interlacing",
    ],
)
def test_every_example_of_the_wider_setting_breaks_one_hypothesis_and_the_claim(name: str) -> None:
    claim = registry.find(name)
    translation, _ = claim.setting.translation()
    goal = translation.statement(claim.statement)
    hypotheses = {each.name: translation.statement(each.statement) for each in claim.setting.hypotheses}
    broken: list[str] = []
    for sample in claim.setting.wider:
        model = complete_model(translation, sample(random.Random(0)))
        if model is None:  # W W^T of an empty class has no inverse
            broken.append("no empty class")
            continue
        model.check_shapes(translation.algebra)
        broken += [name for name, each in hypotheses.items() if not true_in(each, translation.algebra, model)]
        assert not true_in(goal, translation.algebra, model)
    assert len(broken) == len(set(broken)) == len(claim.setting.wider)
    if name in ("dang2023/balanced-of", "dang2023/balanced-etf", "dang2023/imbalanced-deep", "liu2024/geometry"):
        assert {"gamma", "power", "minimiser", "excess", "optimal power"} <= set(broken)


def test_examples_mix_all_kinds_of_directions() -> None:
    """Directions that live, that do not, that are dropped though they could live, and of targets that are zero."""
    kinds: set[tuple[bool, bool, bool]] = set()
    depths: set[int] = set()
    at = CriticalPoint(offset=True)
    for seed in range(60):
        rng = random.Random(seed)
        values = critical_examples.example(rng, at, minimal=False)
        roots, best, target = (sp.Matrix(values[each]) for each in (at.power, at.powers, at.target))
        depths.add(values[M])
        kinds.add((roots.rank() < best.rank(), best.rank() < values[K], target.rank() < values[K]))
    assert depths == {1, 2, 3}
    assert {(True, True, False), (True, False, False), (False, True, True)} <= kinds


def test_a_tie_has_minimisers_of_both_kinds() -> None:
    where = deep.lengths_setting
    at = deep.lengths.at
    translation, _ = where.translation()
    dropped = kept = False
    for seed in range(200):
        values = where.sample(random.Random(seed))
        if values[M] == 2 and sp.Matrix(values[at.powers]).trace() in (1, 2):
            assert complete_model(translation, values) is not None
            now, best = (sp.Matrix(values[each]) for each in (at.power, at.powers))
            dropped, kept = dropped or now != best, kept or now == best
    assert dropped
    assert kept


# ------------------------------------------------------------------------------------- the lemmas, beside simulation


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("bias", [False, True])
def test_critical_values(depth: int, bias: bool) -> None:
    """At points where minimisation ends, local minima included: W W^T = N lam_H X^M, equal decays, and the value."""
    counts, samples = (5, 3, 2), 10
    decays = (0.004, 0.012, 0.008, 0.006, 0.004)[: depth + 1]
    model = DeepLinearUFM(counts, 4, depth, decays, bias=bias)
    labels = np.repeat(np.eye(3), counts, axis=1)
    target = labels - labels.mean(axis=1, keepdims=True) if bias else labels
    scatter = target @ target.T / samples
    root = (samples * np.prod(decays)) ** (1 / depth)
    ranks: set[int] = set()
    for seed in range(6):
        start = initialisers.gaussian(model, seed=seed, scale=(0.1, 0.5, 1.0)[seed % 3], collapsed=True)
        found = minimisation.minimise(model, start)
        assert found.converged
        top, product = (each.numpy() for each in (found.value.weights[-1], found.value.product))
        spectrum = decays[depth - 1] / root * top @ top.T
        power = np.linalg.matrix_power(spectrum, depth)
        assert product @ product.T == pytest.approx(samples * decays[-1] * power, abs=1e-7)
        for decay, weight in zip(decays, found.value.weights, strict=False):
            assert decay * float(weight.square().sum()) == pytest.approx(root * np.trace(spectrum), abs=1e-8)
        value = np.trace(scatter @ np.linalg.inv(np.eye(3) + power) + depth * root * spectrum) / 2
        assert float(found.stats.loss) == pytest.approx(value, rel=1e-9)
        assert scatter @ spectrum == pytest.approx(spectrum @ scatter, abs=1e-8)
        least = deep_linear.minimum(deep_linear.one_hot(counts, bias=bias), samples, decays).f_min
        assert value >= least * (1 - 1e-12)
        ranks.add(int(np.linalg.matrix_rank(spectrum, tol=1e-6)))
        if depth > 1 and spectrum.any(where=np.abs(spectrum) > 1e-3):
            wrong = np.linalg.matrix_power(spectrum, depth - 1)
            assert product @ product.T != pytest.approx(samples * decays[-1] * wrong, abs=1e-4)
    assert max(ranks) > 0


def test_a_minimum_at_zero_is_found_where_local_minima_surround_it() -> None:
    values = {"M": 3, "K": 3, "N": 3}
    counts, decays = deep.example(values, 663)
    assert deep_linear.minimum(counts, 3, decays).f_min == 0.5
    found = deep.searched(counts, decays, 663)
    assert found.converged
    assert float(found.stats.loss) == pytest.approx(0.5, rel=1e-12)
    assert found.value.losses.max() > 0.5 + 1e-4


@st.composite
def problems(draw: st.DrawFn) -> tuple[tuple[int, ...], int, Decays, bool]:
    """Class sizes, a width, unequal decays with a class near its threshold or across it, and a bias or none."""
    counts = tuple(draw(st.lists(st.integers(1, 9), min_size=2, max_size=3)))
    depth, bias = draw(st.integers(1, 3)), draw(st.booleans())
    ratio = draw(st.sampled_from([0.05, 0.3, 0.9, 0.99, 1.01, 1.1, 1.5]))
    squares = [each for each in deep_linear.one_hot(counts, bias=bias) if each > 1e-9]
    square = float(draw(st.sampled_from(squares)))
    decays = deep.near_threshold(square, sum(counts), depth, ratio, random.Random(draw(st.integers(0, 99))))
    return counts, len(counts) - bias + draw(st.integers(0, 3)), decays, bias


@given(problems())
@settings(max_examples=12, deadline=None)
def test_the_closed_form_is_the_least_loss_of_a_search(problem: tuple[tuple[int, ...], int, Decays, bool]) -> None:
    counts, width, decays, bias = problem
    model = DeepLinearUFM(counts, width, len(decays) - 1, decays, bias=bias)
    found = minimisation.global_minimum(model, seed=0, starts=32, sizes=deep.SIZES)
    predicted = deep_linear.minimum(deep_linear.one_hot(counts, bias=bias), sum(counts), decays)
    assert found.converged
    assert float(found.stats.loss) == pytest.approx(predicted.f_min, rel=1e-8)


# ---------------------------------------------------------------------------------------------------- what predict says


def predicted(capsys: pytest.CaptureFixture[str], claim: str, *words: str) -> tuple[int, Any, str]:
    code = cli.main(["predict", claim, *(each for word in words for each in ("--set", word)), "--json"])
    captured = capsys.readouterr()
    return code, json.loads(captured.out)["values"] if code == 0 else captured.out, captured.err


def test_reference_value_of_the_simplex(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("K=4", "n=6", "lam_W=0.002,0.002", "lam_H=0.001")
    code, values, _ = predicted(capsys, "dang2023/balanced-etf", *words)
    assert code == 0
    assert values["f_min"] == pytest.approx(0.01293013037687962, rel=1e-15)
    assert values["bias"] == 0.25
    _, frame, _ = predicted(capsys, "dang2023/balanced-of", *words)
    given = {"lam_W": "0.002,0.002", "lam_H": "0.001"}
    labels = papers.predict("dang2023/imbalanced-deep", n=(6,) * 4, **given)["values"]
    assert (frame["x"], frame["p"], frame["f_min"]) == (labels["x"][0], labels["p"][0], labels["f_min"])
    assert "bias" not in frame
    assert frame["x"] == values["x"]
    digits = papers.predict("dang2023/balanced-etf", digits=20, K=3, n=6, lam_W="0.002", lam_H="0.001", M=2)["values"]
    assert digits["bias"] == "0." + "3" * 20
    dead = papers.predict("dang2023/balanced-etf", K=3, n=6, lam_W=1, lam_H=1, M=2)["values"]
    assert (dead["x"], dead["p"], dead["f_min"]) == (0.0, 0.0, pytest.approx(1 / 3))


def test_general_target(capsys: pytest.CaptureFixture[str]) -> None:
    decays = ("lam_W=0.002,0.003", "lam_H=0.001")
    _, labels, _ = predicted(capsys, "dang2023/imbalanced-deep", "n=20,10,5,5", *decays)
    _, values, _ = predicted(capsys, "tightframe/general-target", "sigma2=20,10,5,5", "N=40", *decays)
    assert values == labels
    _, narrow, _ = predicted(capsys, "tightframe/general-target", "sigma2=5,20,10,5", "N=40", "width=2", *decays)
    assert [p > 0 for p in narrow["p"]] == [False, True, True, False]
    assert narrow["f_min"] == pytest.approx(
        deep_linear.minimum((20, 10), 40, (0.002, 0.003, 0.001)).f_min + 10 / 80, rel=1e-14
    )
    given = {"sigma2": "5,20,10,5", "N": 40, "lam_W": "0.002,0.003", "lam_H": "0.001", "width": 2}
    digits = papers.predict("tightframe/general-target", digits=25, **given)["values"]
    for name, found in digits.items():
        assert np.array(found, dtype=float) == pytest.approx(np.array(narrow[name]), rel=1e-14)


@pytest.mark.parametrize(
    ("claim", "words", "expected"),
    [
        ("dang2023/balanced-etf", ("K=1", "n=6", "lam_W=1", "lam_H=1"), "K (number of classes)"),
        ("dang2023/balanced-of", ("K=2", "n=0", "lam_W=1", "lam_H=1"), "n (samples in each class)"),
        ("dang2023/balanced-of", ("K=2", "n=1", "lam_W=1,2", "lam_H=1", "M=3"), "lam_W: expected one decay, or M = 3"),
        ("dang2023/balanced-of", ("K=2", "n=1", "lam_W=0", "lam_H=1"), "lam_W"),
        ("tightframe/general-target", ("sigma2=1,0", "N=4", "lam_W=1", "lam_H=1"), "sigma2"),
        ("tightframe/general-target", ("sigma2=1", "N=0", "lam_W=1", "lam_H=1"), "N (samples in all)"),
        ("tightframe/general-target", ("sigma2=1", "N=4", "lam_W=1", "lam_H=1", "width=0"), "width"),
        ("tightframe/general-target", ("sigma2=1", "N=4", "lam_W=1"), "no value for lam_H"),
    ],
)
def test_wrong_input_is_one_line(
    claim: str, words: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = predicted(capsys, claim, *words)
    assert (code, out) == (2, "")
    assert err.startswith("tightframe: ")
    assert err.count("\n") == 1
    assert expected in err


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_scalar_minimiser_and_the_frame_agree(depth: int) -> None:
    decays = tuple(0.01 * (m + 1) for m in range(depth + 1))
    values = papers.predict(
        "dang2023/balanced-of", K=3, n=5, lam_W=tuple(map(str, decays[:-1])), lam_H=str(decays[-1])
    )["values"]
    slope = depth * 3 * (15 * float(np.prod(decays))) ** (1 / depth)
    root = float(scalar_problem.minimiser(slope, depth).value)
    assert values["x"] == pytest.approx(root, rel=1e-12)
    assert values["f_min"] == pytest.approx(float(scalar_problem.value(root, slope, depth)) / 2, rel=1e-12)
