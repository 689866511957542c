"""Balanced classes at the threshold, at every layer and behind a narrow layer; cross-entropy beside the simplex ETF."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from tightframe import papers
from tightframe.numerics import minimisation
from tightframe.numerics.deep_linear import DeepLinearUFM, Factors
from tightframe.papers import registry, verification
from tightframe.papers.dang2023 import cross_entropy, geometry
from tightframe.papers.evidence import Kind, Verdict, holds_in
from tightframe.theory import bottleneck, deep_linear, scalar_problem
from tightframe.theory.derivation import Failure

Decays = tuple[float, ...]
SIZES = (0.05, 2.0)  # starts of these sizes end at every rank, at the threshold


def decays_at(slope: float, classes: int, samples: int, spread: Decays) -> Decays:
    """Decays in these proportions for which b, of balanced classes, is the slope."""
    depth = len(spread) - 1
    product = (slope / (depth * classes)) ** depth / samples
    shift = (product / math.prod(spread)) ** (1 / (depth + 1))
    return tuple(shift * each for each in spread)


def search(counts: tuple[int, ...], widths: Any, decays: Decays, starts: int = 16, **more: Any) -> Any:
    model = DeepLinearUFM(counts, widths, len(decays) - 1, decays, **more)
    found = minimisation.global_minimum(model, seed=0, starts=starts)
    assert found.converged
    return found


# -------------------------------------------------------------------------------------------------- at the threshold


@pytest.mark.parametrize(("depth", "bias"), [(2, False), (2, True), (3, False)])
def test_at_the_threshold_points_of_every_rank_have_one_loss(depth: int, bias: bool) -> None:
    classes, samples = 3, 6
    spread = (1.0, 2.0, 0.5, 1.5)[: depth + 1]
    decays = decays_at(scalar_problem.threshold(depth), classes, samples, spread)
    model = DeepLinearUFM((2,) * classes, 6, depth, decays, bias=bias)
    found = minimisation.global_minimum(model, seed=1, starts=48, sizes=SIZES)
    assert found.converged
    ranks = set(found.value.ranks[found.value.converged].tolist())
    assert ranks == set(range(classes - bias + 1))
    losses = found.value.losses[found.value.converged].numpy()
    assert losses == pytest.approx(np.full(losses.shape, (classes - bias) / (2 * classes)), rel=1e-10)


@pytest.mark.parametrize("ratio", [0.97, 1.03])
def test_beside_the_threshold_losses_of_different_ranks_differ(ratio: float) -> None:
    decays = decays_at(ratio * scalar_problem.threshold(2), 3, 6, (1.0, 2.0, 0.5))
    model = DeepLinearUFM((2,) * 3, 6, 2, decays)
    found = minimisation.global_minimum(model, seed=1, starts=48, sizes=SIZES)
    losses, ranks = found.value.losses, found.value.ranks
    live, dead = losses[ranks == 3].min(), losses[ranks == 0].min()
    assert (live < dead - 1e-3) == (ratio < 1)


# ------------------------------------------------------------------------------------------------- a narrow layer


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("bias", [False, True])
def test_balanced_a_narrow_layer_anywhere_leaves_a_projection(position: int, bias: bool) -> None:
    classes, narrow, samples = 4, 2, 8
    widths = tuple(narrow if m == position else 8 for m in range(3))
    decays = decays_at(0.5 * scalar_problem.threshold(3), classes, samples, (1.0, 2.0, 0.5, 1.5))
    found = search((2,) * classes, widths, decays, bias=bias)
    weights, means, ridge = found.value.best.product, found.value.best.features, samples * decays[-1]
    predicted = deep_linear.minimum(deep_linear.one_hot((2,) * classes, bias), samples, decays, width=narrow)
    assert float(found.stats.loss) == pytest.approx(predicted.f_min, rel=1e-10)
    power = float(predicted.p.max()) / ridge
    projection = (weights @ weights.mT / (ridge * power)).numpy()
    assert projection @ projection == pytest.approx(projection, abs=1e-6)
    assert np.trace(projection) == pytest.approx(narrow, abs=1e-6)
    assert (np.abs(projection.sum(axis=0)).max() < 1e-6) == bias
    assert (weights @ means).numpy() == pytest.approx(power / (1 + power) * projection, abs=1e-6)


def test_imbalanced_the_largest_classes_are_learned() -> None:
    counts, decays = (9, 6, 4, 2), (0.01, 0.02, 0.01)
    found = search(counts, (2, 8), decays)
    predicted = deep_linear.minimum(counts, sum(counts), decays, width=2)
    square = (found.value.best.product @ found.value.best.product.mT).numpy()
    assert predicted.p[2:].tolist() == [0.0, 0.0]
    assert square == pytest.approx(np.diag(predicted.p), abs=1e-6)


def test_in_a_tie_any_directions_of_the_tied_classes_are_as_good() -> None:
    """n_2 = n_3 and d = 2: the second direction is any one between the two classes, and W W^T is not diagonal."""
    counts, decays = (9, 4, 4), (0.01, 0.02, 0.01)
    predicted = deep_linear.minimum(counts, sum(counts), decays, width=2)
    model = DeepLinearUFM(counts, 2, 2, decays)
    for angle in (0.0, 0.7, math.pi / 4):
        point = balanced_factors(
            predicted.p, [(1.0, 0.0, 0.0), (0.0, math.cos(angle), math.sin(angle))], decays, counts
        )
        assert float(model.objective(point)) == pytest.approx(predicted.f_min, rel=1e-12)
    other = balanced_factors(predicted.p, [(0.0, 1.0, 0.0), (0.0, 0.0, 1.0)], decays, counts)
    assert float(model.objective(other)) > predicted.f_min + 1e-3  # without the largest class
    square = (search(counts, (2, 6), decays).value.best.product.numpy()) ** 2
    assert square.sum() == pytest.approx(predicted.p.sum(), rel=1e-6)


def balanced_factors(p: Any, directions: list[tuple[float, ...]], decays: Decays, counts: tuple[int, ...]) -> Factors:
    """Two layers with W W^T = sum p_i u_i u_i^T, balanced, and the ridge regression of the labels on W."""
    left = torch.tensor(directions, dtype=torch.float64).mT
    sizes = torch.tensor(p[: len(directions)], dtype=torch.float64)
    ratio = (decays[1] / decays[0]) ** 0.5  # lam_1 W_1 W_1^T = lam_2 W_2^T W_2
    upper, lower = left * (sizes.sqrt() / ratio).sqrt(), torch.diag((sizes.sqrt() * ratio).sqrt())
    weights = upper @ lower
    metric = weights.mT @ weights + sum(counts) * decays[-1] * torch.eye(weights.shape[1], dtype=torch.float64)
    return Factors((lower, upper), torch.linalg.solve(metric, weights.mT))


# -------------------------------------------------------------------------------------------------- negative controls


@pytest.mark.parametrize("problem", [geometry.NARROW, geometry.TIE], ids=["narrow", "tie"])
@pytest.mark.parametrize("name", ["centring", "least: power", "least: shares", "zeros"])
def test_no_hypothesis_can_be_dropped(problem: bottleneck.Bottleneck, name: str) -> None:
    where = geometry.tie_setting if problem.tie else geometry.narrow_setting
    fewer = replace(where, hypotheses=tuple(h for h in where.hypotheses if h.name != name))
    derivation = bottleneck.minimisers(problem, fewer)
    assert isinstance(derivation.prove(), Failure)


@pytest.mark.parametrize("claim_id", ["dang2023/coexistence", "dang2023/bottleneck", "dang2023/layerwise"])
def test_simulations_notice_wrong_theory(claim_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another slope than that of the model."""
    claim = registry.find(claim_id)
    values = {"K": 3, "n": 2, "M": 2, "d": 2}
    right = claim.numerics(values, 3)  # pyrefly: ignore
    assert right.converged
    assert holds_in(claim.kind, right)
    threshold, minimiser = scalar_problem.threshold, scalar_problem.minimiser
    monkeypatch.setattr(scalar_problem, "threshold", lambda depth: 0.9 * threshold(depth))
    monkeypatch.setattr(scalar_problem, "minimiser", lambda b, *more: minimiser(0.9 * b, *more))
    wrong = claim.numerics(values, 3)  # pyrefly: ignore
    assert not (wrong.converged and holds_in(claim.kind, wrong))


# ------------------------------------------------------------------------------------------------------- prediction


def test_prediction_behind_a_narrow_layer() -> None:
    inputs: dict[str, Any] = {"n": (5, 20, 10, 5), "lam_W": (0.002, 0.003), "lam_H": 0.001}
    found = papers.predict("dang2023/bottleneck", d=2, **inputs)["values"]
    wide = papers.predict("dang2023/imbalanced-deep", **inputs)["values"]
    assert found["p"] == [*sorted(wide["p"], reverse=True)[:2], 0.0, 0.0]
    digits = papers.predict(
        "dang2023/bottleneck", digits=17, d=2, **inputs | {"lam_W": "0.002, 0.003", "lam_H": "0.001"}
    )
    assert float(digits["values"]["f_min"]) == pytest.approx(found["f_min"], rel=1e-14)
    with pytest.raises(ValueError, match="less than K = 4, got 4; wide layers are in dang2023/imbalanced-deep"):
        papers.predict("dang2023/bottleneck", d=4, **inputs)


# ---------------------------------------------------------------------------------------------------- cross-entropy


def test_minimisation_finds_less_than_any_etf() -> None:
    model = cross_entropy.TWO_LAYERS
    found = search((5,) * 4, 8, (0.01,) * 3, starts=32, bias=True, loss="ce")
    assert float(found.stats.loss) == pytest.approx(0.240578, abs=1e-6)
    assert int(found.value.spectrum.rank) == 2
    assert float(found.stats.loss) < float(model.objective(model.square)) < float(model.floor)
    etf = min(float(model.objective((sp.Float(root),) * 3)) for root in np.linspace(1.6, 1.8, 401))
    assert float(model.floor) < etf == pytest.approx(0.242497, abs=1e-5)


def test_one_layer_is_an_etf() -> None:
    found = search((5,) * 4, 8, (0.01,) * 2, bias=True, loss="ce")
    values = found.value.spectrum.singular_values
    assert int(found.value.spectrum.rank) == 3
    assert float(values[2] / values[0]) == pytest.approx(1.0, abs=1e-6)


def test_the_refutation_is_exact_and_shown_without_a_store() -> None:
    claim = registry.find("dang2023/ce-deep-etf")
    evidence, witness = verification.prove(claim)
    assert evidence.outcome == "refuted"
    assert witness is not None
    assert witness["parameters"] == {"a": "2", "b": "2", "c": "0"}
    assert verification.standing(claim).verdict is Verdict.REFUTED
    assert registry.find("tightframe/ce-lower-rank").corrects == claim.id


def test_what_is_recorded_as_refuted_needs_a_counterexample() -> None:
    claim = registry.find("dang2023/ce-deep-etf")
    true = replace(claim, statement=replace(claim.statement, right=sp.Rational(24, 100)))  # pyrefly: ignore
    assert verification.standing(true).verdict is Verdict.OPEN


def test_a_floor_above_the_etf_is_not_proved() -> None:
    model = replace(cross_entropy.TWO_LAYERS, floor=sp.Rational(2426, 10000))
    where = cross_entropy.etf_setting
    failure = cross_entropy.cross_entropy.lower_rank_wins((model,), cross_entropy.ETF_ROOT.symbol, where).prove()
    assert isinstance(failure, Failure)
    assert failure.step == "ETF, M = 2"


def test_simulated_cross_entropy_notices_other_decays() -> None:
    claim = registry.find("tightframe/ce-lower-rank")
    assert claim.kind is Kind.LOWER
    values = {"a": 1.5}
    assert holds_in(claim.kind, claim.numerics(values, 4))  # pyrefly: ignore
    shifted = cross_entropy.simulate(values, 4)
    assert not holds_in(claim.kind, replace(shifted, measured=[x - 1e-3 for x in shifted.measured]))
