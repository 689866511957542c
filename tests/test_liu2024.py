"""liu2024: spectra of centred labels, the geometry on both sides, directions that collapse, and one file for all."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from strategies import class_counts
from tightframe import papers
from tightframe.numerics import minimisation
from tightframe.numerics.deep_linear import DeepLinearUFM
from tightframe.papers import experiments, liu2024, registry
from tightframe.papers.general_target import compared, searched
from tightframe.theory import centred_labels, deep_linear, interlacing
from tightframe.theory.label_spectrum import enclosed
from tightframe.theory.proof.statement import Equal, Nonnegative

GEOMETRY = "liu2024/geometry"


def scatter(counts: tuple[int, ...], total: int | None = None) -> Any:
    n = np.array(counts, np.float64)
    return np.diag(n) - np.outer(n, n) / (total or sum(counts))


# --------------------------------------------------------------------------------------------------- the spectrum


def interlaces(values: list[float], counts: tuple[int, ...], rounding: float = 0.0) -> bool:
    sizes = sorted(counts, reverse=True)
    above = all(n >= value - rounding for n, value in zip(sizes, values, strict=True))
    below = all(value >= n - rounding for n, value in zip(sizes[1:], values, strict=False))
    return above and below and abs(values[-1]) <= rounding


@settings(max_examples=60)
@given(class_counts(most=60, classes=7))
def test_the_spectrum_is_that_of_the_matrix_and_interlaces(counts: tuple[int, ...]) -> None:
    found = enclosed(counts, 64)
    values = [float(low) for low, _ in found]
    assert values == pytest.approx(np.linalg.eigvalsh(scatter(counts))[::-1].tolist(), abs=1e-11)
    assert all(low <= high <= low * (1 + Fraction(1, 2**60)) for low, high in found)
    trace = sum(counts) - Fraction(sum(n * n for n in counts), sum(counts))
    assert sum(low for low, _ in found) <= trace <= sum(high for _, high in found)
    assert interlaces(values, counts)


def test_other_matrices_do_not_interlace() -> None:
    counts = (20, 10, 5, 5)
    assert interlaces(np.linalg.eigvalsh(scatter(counts))[::-1].tolist(), counts, 1e-12)
    for wrong in (scatter(counts, 39), scatter(counts, 80), scatter(counts) + np.eye(4)):
        assert not interlaces(np.linalg.eigvalsh(wrong)[::-1].tolist(), counts, 1e-12)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((6, 6, 6), [6, 6, 0]),
        ((1, 1), [1, 0]),
        ((7, 2), [Fraction(28, 9), 0]),
        ((6, 1, 1), [Fraction(9, 4), 1, 0]),
        ((1, 6, 1), [Fraction(9, 4), 1, 0]),
        ((25, 1, 1), [Fraction(25, 9), 1, 0]),
        ((1, 10**6), [Fraction(2 * 10**6, 10**6 + 1), 0]),
    ],
)
def test_rational_values_are_exact(counts: tuple[int, ...], expected: list[Any]) -> None:
    assert enclosed(counts, 32) == [(value, value) for value in expected]


def test_many_bits_enclose_within_few() -> None:
    for (low, high), (lower, higher) in zip(enclosed((9, 5, 3, 3, 2), 400), enclosed((9, 5, 3, 3, 2), 40), strict=True):
        assert lower <= low <= high <= higher
        assert high - low <= high / 2**390


@pytest.mark.parametrize("counts", [(), (0, 1), (1.5, 2), (True, 2)])
def test_sizes_that_are_none_are_refused(counts: Any) -> None:
    with pytest.raises(ValueError, match="expected class sizes"):
        enclosed(counts, 64)


# ------------------------------------------------------------------------------------------------- the prediction


def test_the_reference_value_and_certified_digits() -> None:
    inputs = {"n": "20,10,5,5", "M": "1", "lam_W": "0.005", "lam_H": "0.001"}
    found = papers.predict(GEOMETRY, **inputs)["values"]
    assert found["f_min"] == pytest.approx(0.019061406616345068, rel=1e-15)
    assert found["sigma2"] == pytest.approx(np.linalg.eigvalsh(scatter((20, 10, 5, 5)))[::-1].tolist(), abs=1e-12)
    assert found["sigma2"][2:] == [5.0, 0.0]
    digits = papers.predict(GEOMETRY, digits=50, **inputs)["values"]
    assert digits["f_min"] == "0.019061406616345071649626528670547323295550661144957"
    for name in ("sigma2", "x", "p"):
        assert found[name] == pytest.approx(list(map(float, digits[name])), rel=1e-13)


def test_f_min_is_the_least_that_scipy_finds() -> None:
    from scipy.optimize import minimize

    model = DeepLinearUFM((20, 10, 5, 5), 4, 1, (0.005, 0.001), bias=True)
    n, rng = np.array(model.class_counts, np.float64), np.random.default_rng(0)

    def objective(z: Any) -> tuple[float, Any]:  # over W, the class means, and the bias, with autograd
        import torch

        x = torch.tensor(z, requires_grad=True)
        W, H, b = x[:16].reshape(4, 4), x[16:32].reshape(4, 4), x[32:].reshape(4, 1)
        errors = ((W @ H + b - torch.eye(4)) ** 2).sum(0) @ torch.from_numpy(n) / 80
        f = errors + 0.0025 * (W**2).sum() + 0.0005 * ((H**2).sum(0) @ torch.from_numpy(n))
        f.backward()  # type: ignore[no-untyped-call]
        return f.item(), x.grad.numpy()

    options = {"maxiter": 4000, "ftol": 1e-16, "gtol": 1e-11}
    ends = [minimize(objective, rng.normal(size=36), jac=True, method="L-BFGS-B", options=options) for _ in range(3)]
    assert min(end.fun for end in ends) == pytest.approx(0.019061406616345068, rel=1e-10)


def test_a_value_at_its_threshold_is_decided_exactly() -> None:
    """sigma^2 = 9/4 and 1 for n = (6, 1, 1): b = 64 lam_W lam_H/sigma^2 is 1 where lam_W = 9/256, lam_H = 1."""
    sizes: dict[str, Any] = {"n": (6, 1, 1), "lam_H": 1}
    for digits in (None, 20):
        at = papers.predict(GEOMETRY, digits=digits, lam_W="9/256", **sizes)["values"]
        assert [float(p) for p in at["p"]] == [0.0, 0.0, 0.0]
        less = papers.predict(GEOMETRY, digits=digits, lam_W=Fraction(9, 256) - Fraction(1, 10**14), **sizes)["values"]
        assert [float(p) > 0 for p in less["p"]] == [True, False, False]
    # two layers: at b = 1/2, that is gamma = sigma^2/(4 N), both 0 and 1 are minimisers, and the larger one is shown
    gamma = Fraction(9, 4) / 32
    tie = papers.predict(GEOMETRY, digits=10, n=(6, 1, 1), lam_W=(1, 1), lam_H=gamma**2 / 8)["values"]
    assert [float(x) for x in tie["x"]] == [1.0, 0.0, 0.0]


def test_edges_of_the_domain() -> None:
    two = papers.predict(GEOMETRY, n=(3, 1), lam_W="0.01", lam_H="0.02")["values"]
    assert (two["sigma2"], two["p"][1]) == ([1.5, 0.0], 0.0)
    tied = papers.predict(GEOMETRY, n=(5, 5, 2), lam_W="0.001,0.002", lam_H="0.001", digits=20)["values"]
    assert tied["sigma2"][0] == "5.0000000000000000000"
    dead = papers.predict(GEOMETRY, n=(5, 4, 1), lam_W="10", lam_H="10")["values"]
    trace = 10 - (25 + 16 + 1) / 10
    assert (dead["p"], dead["f_min"]) == ([0.0] * 3, pytest.approx(trace / 20, rel=1e-14))
    with pytest.raises(ValueError, match="at least two classes"):
        papers.predict(GEOMETRY, n=(5,), lam_W="1", lam_H="1")
    with pytest.raises(ValueError, match="expected one decay, or M = 3"):
        papers.predict(GEOMETRY, n=(5, 5), lam_W="1,2", lam_H="1", M=3)


@pytest.mark.parametrize("digits", [None, 30])
def test_equal_sizes_predict_what_dang2023_does(digits: int | None) -> None:
    decays = {"lam_W": "0.002,0.003,0.004", "lam_H": "0.001"}
    found = papers.predict(GEOMETRY, digits=digits, n=(7,) * 4, **decays)["values"]
    etf = papers.predict("dang2023/balanced-etf", digits=digits, K=4, n=7, **decays)["values"]
    assert (found["p"][:3], found["x"][:3], found["f_min"]) == ([etf["p"]] * 3, [etf["x"]] * 3, etf["f_min"])


# ------------------------------------------------------------------------------------------------------- geometry


@settings(max_examples=3)
@given(class_counts(most=8, classes=4, balanced=False))
def test_both_sides_of_the_minimum(counts: tuple[int, ...]) -> None:
    """Unequal decays, one to four layers; the same of other sizes is caught."""
    depth = 1 + sum(counts) % 4
    found = searched(counts, None, True, depth, seed=sum(counts))
    if found.clear and found.theory.p.any():
        comparison = compared(found)
        assert comparison.measured == pytest.approx(comparison.theoretical, abs=comparison.tolerance)
        n = np.array(counts, np.float64)
        means = found.features / np.sqrt(np.outer(n, n))  # Hbar^T Hbar in place of (Hbar S)^T (Hbar S)
        assert np.abs(means - found.wanted_features).max() > 1e-3 * np.abs(found.wanted_features).max()
        p = deep_linear.minimum(deep_linear.one_hot(counts), sum(counts), (0.1, 0.1)).p
        assert np.abs(found.weights - np.diag(p)).max() > 1e-3  # without bias, where classes are the directions


def angles(counts: tuple[int, ...], lam: float) -> list[float]:
    """The sines of the angles between w_k and hbar_k, one layer."""
    model = DeepLinearUFM(counts, 2 * len(counts), 1, lam, bias=True)
    best = minimisation.global_minimum(model, 0, starts=6).value.best
    W, H = best.product, best.features.mT
    cosines = (W * H).sum(-1) / (W.norm(dim=-1) * H.norm(dim=-1))
    return [math.sqrt(max(0.0, 1 - float(c) ** 2)) for c in cosines]


def test_rows_of_the_classifier_are_not_parallel_to_class_means() -> None:
    """n = (6, 1, 1) with 64 lam^2 = 1/4: sigma_i^2/(1 + x_i) is 3/4 and 1/2, so rows 2 and 3 turn, and row 1 does not.

    u_1 = (2, -1, -1), u_2 = (0, 1, -1).
    """
    found = papers.predict(GEOMETRY, n=(6, 1, 1), lam_W=Fraction(1, 16), lam_H=Fraction(1, 16))["values"]
    assert found["x"][:2] == pytest.approx([2.0, 1.0])
    lengths = [Fraction(p).limit_denominator(100) for p in found["p"][:2]]  # 1 and 1/2
    row = [-sp.sqrt(lengths[0]) / sp.sqrt(6), sp.sqrt(lengths[1]) / sp.sqrt(2)]
    mean = [row[0] * sp.Rational(3, 4), row[1] * sp.Rational(1, 2)]
    sine = row[0] * mean[1] - row[1] * mean[0]
    assert sine != 0
    sine /= sp.sqrt((row[0] ** 2 + row[1] ** 2) * (mean[0] ** 2 + mean[1] ** 2))
    measured = angles((6, 1, 1), 1 / 16)
    assert measured == pytest.approx([0.0, abs(float(sine)), abs(float(sine))], abs=1e-6)
    assert angles((4, 4, 4), 1 / 20) == pytest.approx([0.0] * 3, abs=1e-6)


def test_wrong_statements_are_refuted_by_exact_examples() -> None:
    where = liu2024.GEOMETRY.setting(registry.find(GEOMETRY).domain.ranges)
    says = liu2024.GEOMETRY.conclusions["features"]
    assert isinstance(says, Equal)
    assert where.refute(says) is None
    assert where.refute(Equal(liu2024.GEOMETRY.means, says.right)) is not None  # Hbar in place of Hbar S
    claim = registry.find("liu2024/interlacing")
    E, F = interlacing.Count(below=True).projections
    assert claim.setting.refute(Nonnegative(sp.Trace(F) - sp.Trace(E)), draws=40) is not None  # not one more
    spectrum = registry.find("liu2024/centred-spectrum").setting
    wrong = Equal(centred_labels.T * centred_labels.T.T, centred_labels.Y * centred_labels.Y.T)
    assert spectrum.refute(wrong) is not None


def test_the_balanced_limit_says_all_that_dang2023_says() -> None:
    balanced = registry.find("dang2023/balanced-etf").statement.parts  # type: ignore[attr-defined]
    limit = registry.find("liu2024/balanced-limit").statement.parts  # type: ignore[attr-defined]
    assert set(balanced) < set(limit)


# ------------------------------------------------------------------------------------- the file, and its experiment


def test_the_paper_is_one_file() -> None:
    lines = Path(liu2024.__file__).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    assert "@misc{liu2024," in registry.paper("liu2024").bibtex
    assert [claim.slug for claim in registry.paper("liu2024").claims] == [
        "feature-collapse",
        "centred-spectrum",
        "geometry",
        "direction-collapse",
        "interlacing",
        "balanced-limit",
    ]


def test_a_direction_collapses_and_no_class() -> None:
    """sigma^2 of n = (30, 20, 12, 4) are apart; at the larger decay the last direction is dead, and every row lives."""
    numbers = papers.simulate(
        "liu2024-directions", M=1, n=(30, 20, 12), n_min=4, columns=1, rows=3, lam_low="0.01", lam_high="0.06", starts=8
    )
    [diagram] = numbers["diagrams"]
    assert numbers["converged"]
    assert diagram["different"] == 0
    assert (diagram["dead"], diagram["dead_without_zero_rows"]) == (diagram["dead"], diagram["dead"])
    assert diagram["dead"] > 0
    assert diagram["alive"][0][0] == 3
    text = "\n".join(liu2024.EXPERIMENT.summary(numbers))
    assert f"no row of W is zero in {diagram['dead']} of these" in text
    assert liu2024.EXPERIMENT.figure(numbers).axes
    with pytest.raises(LookupError, match=r"known: .*liu2024-directions"):
        experiments.find("liu2024-direction")
