"""Whole spectra of the Hessian at neural collapse and at pairs: closed form beside numerical linear algebra."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tightframe.numerics import initialisers, low_rank
from tightframe.numerics import landscape as numeric
from tightframe.numerics.deep_linear import DeepLinearUFM
from tightframe.theory import landscape as theory

Size = tuple[int, int, int, int]  # K, L, d, n
Spectrum = tuple[tuple[float, int], ...]


def _models() -> list[tuple[Size, float]]:
    """Every K and L, on both sides of alpha = K (L-1)/(L+1), with n and d that take turns."""
    found: list[tuple[Size, float]] = []
    for number, (classes, depth) in enumerate((K, L) for K in range(2, 7) for L in range(1, 5)):
        per_class, more = 1 + number % 3, (number // 2) % 3
        edge = classes * (depth - 1) / (depth + 1) or 1.0
        found += [((classes, depth, classes + more, per_class), 0.55 * edge)]
        found += [((classes, depth, classes + (more + 1) % 3, 1 + (per_class + 1) % 3), 1.6 * edge)]
    return [*found, ((4, 2, 5, 2), 12.0), ((5, 3, 6, 1), 30.0), ((6, 2, 7, 2), 4.0), ((4, 3, 5, 2), 2.0)]


MODELS = _models()
PAIRS = [
    ((K, L, K + L % 2, 1 + (K + L) % 3), scale * max(1.0, K * (L - 1) / (L + 1)))
    for K in (4, 6)
    for L in (1, 2, 3, 4)
    for scale in (0.4, 1.5, 6.0)
] + [((8, 2, 8, 1), 5.0)]


def centred(classes: int) -> torch.Tensor:
    return torch.eye(classes, dtype=torch.float64) - 1 / classes


def measured(size: Size, direction: torch.Tensor, scale: float) -> tuple[np.ndarray, int, float]:
    """Eigenvalues over the decay that makes the point critical, the nullity and that decay: nothing of theory."""
    classes, depth, width, per_class = size
    draft = DeepLinearUFM((per_class,) * classes, width, depth, 1.0, loss="ce")
    factors = initialisers.factorised(draft, (scale * direction).repeat_interleave(per_class, dim=1), seed=0)
    decay = numeric.Hessian(draft, factors).critical_decay
    found = numeric.spectrum(DeepLinearUFM(draft.class_counts, width, depth, decay, loss="ce"), factors)
    assert found.converged
    assert found.stats.stationarity < 1e-12
    assert found.value.eigenvalues is not None
    assert found.value.nullity is not None
    return (found.value.eigenvalues / decay).numpy(), found.value.nullity, decay


def agrees(eigenvalues: np.ndarray, spectrum: Spectrum) -> None:
    """The law: as many, and each within 1e-10 of the largest."""
    wanted = np.sort(np.concatenate([[value] * count for value, count in spectrum]))
    assert len(wanted) == len(eigenvalues)
    assert float(np.abs(eigenvalues - wanted).max()) <= 1e-10 * float(np.abs(wanted).max())


def test_there_are_forty_and_both_sides() -> None:
    assert len(MODELS) >= 40
    sides = [scale >= size[0] * (size[1] - 1) / (size[1] + 1) for size, scale in MODELS]
    assert sides.count(True) >= 20
    assert sides.count(False) >= 15
    assert {size[:2] for size, _ in MODELS} == {(K, L) for K in range(2, 7) for L in range(1, 5)}


@pytest.mark.parametrize(("size", "scale"), MODELS)
def test_neural_collapse(size: Size, scale: float) -> None:
    classes, depth, width, per_class = size
    eigenvalues, nullity, decay = measured(size, centred(classes), scale)
    agrees(eigenvalues, theory.dnc_spectrum(*size, scale))
    exact = scale ** ((depth - 1) / (depth + 1)) / (math.exp(scale) + classes - 1) / per_class ** (1 / (depth + 1))
    assert decay == pytest.approx(exact, rel=1e-12)
    # an eigenvalue that vanishes at the edge comes on top
    edge = classes >= 4 and scale == classes * (depth - 1) / (depth + 1)
    r = classes - 1
    assert nullity == depth * (r * width - r * (r + 1) // 2) + edge * classes * (classes - 3) // 2
    if classes >= 4:
        negative = int((eigenvalues < -1e-9 * eigenvalues.max()).sum())
        assert (negative == 0) == (scale >= classes * (depth - 1) / (depth + 1))


@pytest.mark.parametrize(("size", "scale"), PAIRS)
def test_pairs(size: Size, scale: float) -> None:
    classes, depth, width, _ = size
    eigenvalues, nullity, _ = measured(size, low_rank.paired(classes), scale)
    agrees(eigenvalues, theory.paired_spectrum(*size, scale))
    m = classes // 2
    if depth > 1 and scale > classes * (depth - 1) / (depth + 1):
        assert nullity == depth * (m * width - m * (m + 1) // 2)


@pytest.mark.parametrize(("size", "scale"), [((5, 3, 6, 2), 2.0), ((4, 2, 40, 3), 9.0)])
def test_trace(size: Size, scale: float) -> None:
    """And the Frobenius norm: of blocks, and of the Hessian without its eigenvalues, where it is large too."""
    classes, depth, width, per_class = size
    p = 1 / (1 + (classes - 1) * math.exp(-scale))
    blocks = theory.dnc_blocks(classes, depth, width, per_class, scale, p, math.sqrt)
    draft = DeepLinearUFM((per_class,) * classes, width, depth, 1.0, loss="ce")
    factors = initialisers.factorised(draft, (scale * centred(classes)).repeat_interleave(per_class, dim=1), seed=0)
    decay = numeric.Hessian(draft, factors).critical_decay
    found = numeric.spectrum(DeepLinearUFM(draft.class_counts, width, depth, decay, loss="ce"), factors, dense=0)
    assert found.stats.method == "products"
    assert found.value.trace / decay == pytest.approx(theory.trace(blocks), rel=1e-11)
    assert (found.value.frobenius / decay) ** 2 == pytest.approx(theory.frobenius_squared(blocks), rel=1e-11)
    wrong = theory.dnc_blocks(classes, depth, width, per_class, scale, p * (1 + 1e-9), math.sqrt)
    assert theory.trace(wrong) != pytest.approx(theory.trace(blocks), rel=1e-11)


# Shared names, and the test that compares them; tests/test_statistics_agree.py asks for completeness.
COMPARED = {"trace": test_trace}


# ---- mutants
def variants(spectrum: Spectrum) -> list[Spectrum]:
    """Each value a little larger, and each multiplicity one more at the cost of the next value."""
    found = []
    unit = max(abs(value) for value, _ in spectrum)
    for i, (value, count) in enumerate(spectrum):
        found.append((*spectrum[:i], (value + 1e-9 * unit, count), *spectrum[i + 1 :]))
        if i:
            (before, times), rest = spectrum[i - 1], spectrum[i + 1 :]
            found.append((*spectrum[: i - 1], (before, times - 1), (value, count + 1), *rest))
    return found


@pytest.mark.parametrize(
    ("size", "scale", "formula", "direction"),
    [((5, 3, 6, 2), 2.0, theory.dnc_spectrum, centred), ((6, 2, 7, 2), 4.0, theory.paired_spectrum, low_rank.paired)],
    ids=["dnc", "pairs"],
)
def test_wrong_formulas_are_caught(
    size: Size, scale: float, formula: Callable[..., Spectrum], direction: Callable[[int], torch.Tensor]
) -> None:
    eigenvalues, _, _ = measured(size, direction(size[0]), scale)
    right = formula(*size, scale)
    agrees(eigenvalues, right)
    classes, depth, width, per_class = size
    wrong = [
        *variants(right),
        formula(*size, scale * (1 + 1e-8)),
        formula(classes, depth + 1, width, per_class, scale),
        formula(classes, depth, width + 1, per_class, scale),
        formula(classes, depth, width, per_class + 1, scale),
    ]
    for number, other in enumerate(wrong):
        try:
            agrees(eigenvalues, other)
        except AssertionError:
            continue
        pytest.fail(f"wrong formula {number} passes")


def test_points_that_are_not_critical_have_another_spectrum() -> None:
    """The formulas hold at the decay of criticality alone."""
    size = (4, 2, 5, 2)
    eigenvalues, _, decay = measured(size, centred(4), 3.0)
    draft: Any = DeepLinearUFM((2,) * 4, 5, 2, 1.01 * decay, loss="ce")
    factors = initialisers.factorised(draft, (3.0 * centred(4)).repeat_interleave(2, dim=1), seed=0)
    found = numeric.spectrum(draft, factors)
    assert found.stats.stationarity > 1e-3
    assert found.value.eigenvalues is not None
    with pytest.raises(AssertionError):
        agrees((found.value.eigenvalues / decay).numpy(), theory.dnc_spectrum(*size, 3.0))
    agrees(eigenvalues, theory.dnc_spectrum(*size, 3.0))
