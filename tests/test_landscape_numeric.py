"""The Hessian of deep linear models by hand, beside autograd; products beside matrices; ranks of differentials."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from tightframe.numerics import descent, initialisers, landscape, low_rank, minimisation, parametrisation
from tightframe.numerics.deep_linear import DeepLinearUFM, Factors
from tightframe.numerics.landscape import Hessian, flattened, spectrum
from tightframe.numerics.solution import Result
from torch import Tensor
from torch.autograd.functional import hessian, jacobian

COUNTS = (2, 1, 3)


def model(depth: int, loss: Any = "ce", bias: bool = False, **more: Any) -> DeepLinearUFM:
    decays = tuple(0.1 * (m + 1) for m in range(depth + 1))
    return DeepLinearUFM(COUNTS, tuple(range(3, 3 + depth)), depth, decays, bias=bias, loss=loss, **more)


def point(of: DeepLinearUFM, seed: int = 0, scale: float = 0.7) -> Factors:
    factors = initialisers.gaussian(of, seed, scale)
    bias = None if factors.bias is None else torch.linspace(-1, 1, of.outputs, dtype=torch.float64)[:, None]
    return Factors(factors.weights, factors.features, bias)


def rebuilt(vector: Tensor, like: Factors) -> Factors:
    parts = vector.split([tensor.numel() for tensor in like.tensors])
    tensors = [part.reshape(tensor.shape) for part, tensor in zip(parts, like.tensors, strict=True)]
    depth = len(like.weights)
    return Factors(tuple(tensors[:depth]), tensors[depth], None if like.bias is None else tensors[-1])


def by_autograd(of: DeepLinearUFM, factors: Factors) -> Tensor:
    found: Any = hessian(lambda vector: of.objective(rebuilt(vector, factors)), flattened(factors))
    return found


def collapsed(classes: int, depth: int, width: int, per_class: int, scale: float) -> tuple[DeepLinearUFM, Factors]:
    """Neural collapse, with the decay that makes it critical."""
    draft = DeepLinearUFM((per_class,) * classes, width, depth, 1.0, loss="ce")
    centred = scale * (torch.eye(classes, dtype=torch.float64) - 1 / classes)
    factors = initialisers.factorised(draft, centred.repeat_interleave(per_class, dim=1), 0)
    decay = Hessian(draft, factors).critical_decay
    return DeepLinearUFM((per_class,) * classes, width, depth, decay, loss="ce"), factors


# ----------------------------------------------------------------------------------------------- the second derivative
@pytest.mark.parametrize("loss", ["mse", "ce"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_by_hand_as_by_autograd(depth: int, bias: bool, loss: str) -> None:
    of = model(depth, loss, bias)
    factors = point(of, seed=depth)
    wanted = by_autograd(of, factors)
    found = Hessian(of, factors)
    torch.testing.assert_close(found.dense(), wanted, rtol=0, atol=1e-13 * float(wanted.abs().max()))
    assert found.trace == pytest.approx(float(wanted.trace()), rel=1e-12)


@pytest.mark.parametrize("loss", ["mse", "ce"])
def test_targets_of_any_encoding(loss: str) -> None:
    encoding = ((0.7, 0.2, 0.1), (0.2, 0.8, 0.0), (0.1, 0.0, 0.9))
    of = model(2, loss, encoding=encoding)
    factors = point(of)
    wanted = by_autograd(of, factors)
    torch.testing.assert_close(Hessian(of, factors).dense(), wanted, rtol=0, atol=1e-13 * float(wanted.abs().max()))


def test_each_part_is_needed() -> None:
    """Without the curvature of the product, of the data term or of the decay it is another matrix."""
    of = model(2)
    factors = point(of)
    wanted = by_autograd(of, factors)
    right = Hessian(of, factors)
    for name, wrong in (
        ("_errors", [0 * each for each in right._errors]),
        ("_curvatures", 0 * right._curvatures),
        ("_decays", [0.0] * 3),
    ):
        broken = Hessian(of, factors)
        broken.__dict__[name] = wrong
        assert float((broken.dense() - wanted).abs().max()) > 1e-3 * float(wanted.abs().max())


def test_products_are_those_of_the_matrix() -> None:
    of = model(3, bias=True)
    found = Hessian(of, point(of))
    directions = torch.randn(2, 5, found.size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    wanted = directions @ found.dense()
    torch.testing.assert_close(found.product(directions), wanted)
    columns = directions[0].mT.numpy()
    np.testing.assert_allclose(found.operator() @ columns, wanted[0].mT.numpy(), atol=1e-12)
    np.testing.assert_allclose(found.operator() @ columns[:, 0], wanted[0, 0].numpy(), atol=1e-12)
    with pytest.raises(ValueError, match=f"expected directions of P = {found.size} entries"):
        found.product(directions[..., 1:])


def test_collapsed_features_stand_for_all_samples() -> None:
    of = model(2)
    means = initialisers.gaussian(of, 0, 0.5, collapsed=True)
    spread = Factors(means.weights, means.features[:, [0, 0, 1, 2, 2, 2]])
    assert torch.equal(Hessian(of, means).dense(), Hessian(of, spread).dense())


# -------------------------------------------------------------------------------------------------------------- spectra
@pytest.mark.parametrize("loss", ["mse", "ce"])
def test_both_methods_agree(loss: str) -> None:
    of = model(3, loss)
    factors = point(of, scale=1.0)
    dense, products = (spectrum(of, factors, most) for most in (10**4, 0))
    assert dense.converged
    assert products.converged
    assert (dense.stats.method, products.stats.method) == ("dense", "products")
    assert (products.value.eigenvalues, products.value.nullity) == (None, None)
    for name in ("least", "largest", "trace", "frobenius", "norm"):
        wanted, unit = getattr(dense.value, name), dense.value.norm
        assert getattr(products.value, name) == pytest.approx(wanted, abs=1e-12 * unit, rel=1e-12), name
    values = dense.value.eigenvalues
    assert values is not None
    assert dense.value.trace == pytest.approx(float(values.sum()), rel=1e-12)
    assert dense.value.frobenius == pytest.approx(float(values.norm()), rel=1e-12)


def test_a_norm_from_random_directions_has_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    of, factors = collapsed(4, 2, 6, 2, 3.0)
    exact = spectrum(of, factors, 0)
    monkeypatch.setattr(landscape, "COLUMNS", 10)
    estimates = [spectrum(of, factors, 0, seed=seed) for seed in range(8)]
    assert exact.stats.frobenius_error == 0
    apart = [(each.value.frobenius - exact.value.frobenius) / each.stats.frobenius_error for each in estimates]
    assert 0.3 < math.sqrt(sum(x**2 for x in apart) / len(apart)) < 2
    assert all(each.value.trace == exact.value.trace for each in estimates)


def test_a_multiple_of_the_identity() -> None:
    of = DeepLinearUFM((2, 2), 3, 2, 0.3, loss="ce")
    found = spectrum(of, initialisers.gaussian(of, 0, 0.0), 0)
    assert found.converged
    assert (found.value.least, found.value.largest) == pytest.approx((0.3, 0.3), rel=1e-14)
    assert found.stats.stationarity == 0


def test_zeros_are_told_by_the_tolerance_or_not_at_all() -> None:
    of, factors = collapsed(4, 3, 5, 2, 3.0)
    right = spectrum(of, factors)
    assert right.converged
    assert right.value.nullity == 3 * (3 * 5 - 6)
    values = right.value.eigenvalues
    assert values is not None
    assert right.value.nullity == int((values.abs() <= 1e-9 * right.value.norm).sum())
    # a tolerance among the eigenvalues: undecided, and said so
    for tolerance in (0.03, 0.5):
        unclear = spectrum(of, factors, tolerance=tolerance)
        assert unclear.result is Result.NOT_CONVERGED
        assert unclear.value.nullity is None


def test_products_that_do_not_converge_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    of = DeepLinearUFM((3,) * 4, 12, 3, 0.01, loss="ce")
    factors = initialisers.gaussian(of, 0, 0.3)
    assert spectrum(of, factors, 0).converged
    monkeypatch.setattr(landscape, "RESTARTS", 1)
    found = landscape.extreme_eigenvalues(Hessian(of, factors), rtol=1e-17)
    assert not found.converged
    assert math.isnan(found.value[0])


@pytest.mark.parametrize("scale", [40.0, 250.0])
def test_small_decays_lose_no_digits(scale: float) -> None:
    """At a softmax within 1e-16 of the targets; autograd has no such digits, which shows that they could be lost."""
    of, factors = collapsed(4, 2, 5, 1, scale)
    assert isinstance(of.decays, tuple)
    exact = scale ** (1 / 3) / (math.exp(scale) + 3)
    assert of.decays[0] == pytest.approx(exact, rel=1e-11)
    found = spectrum(of, factors)
    assert found.stats.stationarity < 1e-10
    assert found.value.eigenvalues is not None
    values = found.value.eigenvalues / of.decays[0]
    for wanted, count in ((0.0, 2 * (3 * 5 - 6)), (2.0, 2 * 3 * 2 + 2 * 6), (1.0, 2**2 + 2 + 2 * 1 + 3)):
        assert int(((values - wanted).abs() < 1e-8).sum()) == count
    naive = torch.linalg.eigvalsh(by_autograd(of, factors)) / of.decays[0]
    assert float((naive - values).abs().max()) > 1e-4 * float(values.max())


def test_criticality_is_measured() -> None:
    of, factors = collapsed(3, 2, 4, 2, 2.0)
    assert Hessian(of, factors).stationarity < 1e-14
    assert Hessian(of, factors.map(lambda tensor: 1.001 * tensor)).stationarity > 1e-4
    heavier = DeepLinearUFM(of.class_counts, 4, 2, 2 * Hessian(of, factors).critical_decay, loss="ce")
    assert Hessian(heavier, factors).stationarity == pytest.approx(0.5, rel=1e-12)
    gradient = model(2, bias=True)
    factors = point(gradient)
    norm = math.sqrt(sum(float(each.square().sum()) for each in gradient.gradient(factors).tensors))
    unit = math.sqrt(
        sum(lam**2 * float(each.square().sum()) for lam, each in zip((0.1, 0.2, 0.3), factors.tensors, strict=False))
    )
    assert Hessian(gradient, factors).stationarity == pytest.approx(norm / unit, rel=1e-12)
    bias_alone = factors.map(lambda tensor: 0 * tensor)
    assert Hessian(gradient, bias_alone).stationarity == math.inf


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda factors: factors.map(lambda tensor: tensor[None]), "expected factors of one point"),
        (lambda factors: factors.map(lambda tensor: tensor * math.nan), "expected finite"),
        (lambda factors: Factors(factors.weights[:1], factors.features), "expected M = 2 weight matrices"),
    ],
)
def test_wrong_points_are_refused(change: Any, words: str) -> None:
    of = DeepLinearUFM((1, 1), 2, 2, 0.1)
    with pytest.raises(ValueError, match=words):
        spectrum(of, change(initialisers.gaussian(of, 0)))


# ------------------------------------------------------------------------------------------------------ parametrisation
def dimension(depth: int, width: int, rank: int) -> int:
    """Of products of frames: L (r d - r (r + 1)/2)."""
    return depth * (rank * width - rank * (rank + 1) // 2)


CASES = [
    (classes, depth, width, rank, equal)
    for classes, width in ((2, 2), (2, 4), (3, 3), (3, 5), (4, 4), (4, 5))
    for depth in (1, 2, 3)
    for rank in range(1, classes + 1)
    for equal in (True, False)
]


def aligned(classes: int, depth: int, width: int, rank: int, equal: bool) -> tuple[list[Any], Any]:
    values = [Fraction(3, 2)] * rank if equal else [Fraction(2 + k, 2) for k in range(rank)]
    seed = 100 * classes + 10 * width + depth
    return parametrisation.rational_aligned(classes, classes + 1, width, values, depth, seed)


@pytest.mark.parametrize(("classes", "depth", "width", "rank", "equal"), CASES)
def test_the_set_of_aligned_factors_has_the_dimension_of_frames(
    classes: int, depth: int, width: int, rank: int, equal: bool
) -> None:
    """Exactly, over the rationals: equal singular values change nothing."""
    weights, features = aligned(classes, depth, width, rank, equal)
    turns = parametrisation.rotation_differential(weights, features)
    found = parametrisation.exact_rank(turns)
    assert found == dimension(depth, width, rank)
    assert parametrisation.rank(turns) == found
    if rank > 1:
        assert found != depth * (rank * width - rank**2)
    # turns move no product: what they sweep lies in one Z
    product = parametrisation.product_differential(weights, features)
    assert not (product @ turns).any()


def test_the_rank_of_the_product_map() -> None:
    """r (K + N - r): the tangents of matrices of rank r, where all factors have no more."""
    for case in CASES[::5]:
        weights, features = aligned(*case)
        classes, rank = case[0], case[3]
        matrix = parametrisation.product_differential(weights, features)
        assert parametrisation.exact_rank(matrix) == rank * (2 * classes + 1 - rank) == parametrisation.rank(matrix)


def test_differentials_are_derivatives() -> None:
    of = model(3)
    factors = point(of)
    arrays = [weight.numpy() for weight in factors.weights], factors.features.numpy()

    def product(vector: Tensor) -> Tensor:
        moved = rebuilt(vector, factors)
        return (moved.product @ moved.features).reshape(-1)

    wanted: Any = jacobian(product, flattened(factors))
    np.testing.assert_allclose(parametrisation.product_differential(*arrays), wanted.numpy(), atol=1e-13)

    def turned(angles: Tensor) -> Tensor:
        """The factors in hidden coordinates that are turned by exp of skew matrices."""
        turns: list[Tensor] = []
        for width, part in zip((3, 4, 5), angles.split([3, 6, 10]), strict=True):
            upper = torch.zeros(width, width, dtype=part.dtype)
            rows, columns = torch.triu_indices(width, width, 1)
            upper = upper.index_put((rows, columns), part)
            turns.append(torch.matrix_exp(upper - upper.mT))
        one, two, three = factors.weights
        weights = (turns[1] @ one @ turns[0].mT, turns[2] @ two @ turns[1].mT, three @ turns[2].mT)
        return flattened(Factors(weights, turns[0] @ factors.features))

    rotations: Any = jacobian(turned, torch.zeros(19, dtype=torch.float64))
    np.testing.assert_allclose(parametrisation.rotation_differential(*arrays), rotations.numpy(), atol=1e-12)


def test_ranks_are_of_matrices_that_fit() -> None:
    with pytest.raises(ValueError, match="integers and Fractions"):
        parametrisation.exact_rank(np.array([[0.5]]))
    with pytest.raises(ValueError, match="expected W_1 with 3 columns"):
        parametrisation.product_differential([np.ones((2, 2))], np.ones((3, 2)))
    with pytest.raises(ValueError, match="expected matrices"):
        parametrisation.rotation_differential([], np.ones((3, 2)))
    with pytest.raises(ValueError, match="at most 2 singular values"):
        parametrisation.rational_aligned(2, 3, 4, (1, 1, 1), 1, 0)
    assert parametrisation.exact_rank(np.zeros((3, 0), dtype=object)) == 0


@pytest.mark.parametrize("counts", [(3, 3, 3), (6, 3, 2)])
@pytest.mark.parametrize(("depth", "width"), [(1, 4), (2, 3), (2, 5)])
def test_the_nullity_at_minima_is_the_dimension_of_the_set(counts: tuple[int, ...], depth: int, width: int) -> None:
    """Of the squared error, with singular values that are equal for equal classes, and different for others."""
    of = DeepLinearUFM(counts, width, depth, 0.01)
    found = minimisation.global_minimum(of, seed=0, starts=4)
    assert found.converged
    values = low_rank.sample_values(of, low_rank.logits(of, found.value.best))
    spread = float(values.max() / values.min() - 1)
    assert spread < 1e-6 if len(set(counts)) == 1 else spread > 0.1
    seen = spectrum(of, found.value.best, tolerance=1e-6)
    assert seen.converged
    assert seen.value.least > -1e-6 * seen.value.norm
    assert seen.value.nullity == dimension(depth, width, 3)


def test_the_nullity_where_descent_ends() -> None:
    """Cross-entropy: ends of ranks 2 and 3 from one batch of starts."""
    of = DeepLinearUFM((2,) * 4, 8, 3, 0.005, loss="ce")
    found = descent.until_critical(of, initialisers.gaussian(of, 0, 0.4, (8,)), rate=0.5)
    assert found.converged
    ranks = low_rank.numerical_rank(low_rank.sample_values(of, low_rank.logits(of, found.value)))
    assert set(ranks.tolist()) == {2, 3}
    for rank in (2, 3):
        index = ranks.tolist().index(rank)
        seen = spectrum(of, found.value.map(lambda tensor, i=index: tensor[i]), tolerance=1e-5)
        assert seen.converged
        assert seen.value.nullity == dimension(3, 8, rank)
