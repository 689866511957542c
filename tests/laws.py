"""The laws, each a function of an implementation, so that a wrong one can be seen to break it.

A law raises AssertionError where it is broken. Every test module that imports laws from here lists at least one
mutant for each of them; `assert_mutants_die` checks that no law is without, and that no mutant survives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec

import flint
import numpy as np
import pytest
import scipy.linalg
import scipy.special
import torch
from tightframe.numerics.models import FeatureModel, Features
from torch import Tensor

P = ParamSpec("P")
Statistic = Callable[[Features], Tensor]
Loss = Callable[..., Tensor]


LAWS: list[Callable[..., None]] = []


def law(function: Callable[P, None]) -> Callable[P, None]:
    """Registers a law."""
    LAWS.append(function)
    return function


def assert_mutants_die(
    namespace: Mapping[str, Any], mutants: Sequence[tuple[Callable[..., None], tuple[Any, ...]]]
) -> None:
    """Every law that the test module imports has a mutant, and every mutant breaks its law.

    A mutant is (law, arguments), a wrong implementation among the arguments.
    """
    imported = {name for name, value in namespace.items() if any(value is known for known in LAWS)}
    assert imported == {broken.__name__ for broken, _ in mutants}, "a law without a mutant, or a mutant without its law"
    for number, (broken, arguments) in enumerate(mutants):
        try:
            broken(*arguments)
        except AssertionError:
            continue
        pytest.fail(f"mutant {number}, of {broken.__name__}, survives")


def assert_close(actual: Tensor, expected: Tensor | np.ndarray | float, rtol: float = 1e-8) -> None:
    """Same shape, and equal up to rtol times the largest expected entry (or rtol where that is below one)."""
    wanted = torch.as_tensor(expected, dtype=actual.dtype)
    assert actual.shape == wanted.shape, f"shape {tuple(actual.shape)}, expected {tuple(wanted.shape)}"
    assert bool(torch.isfinite(actual).all()), "not finite"
    error = float((actual - wanted).abs().max()) if actual.numel() else 0.0
    scale = max(1.0, float(wanted.abs().max())) if actual.numel() else 1.0
    assert error <= rtol * scale, f"differs by {error:.3g} at scale {scale:.3g}"


def class_blocks(features: Features) -> list[np.ndarray]:
    """The samples of each class, for features without batch."""
    return np.split(features.values.numpy(), np.cumsum(features.class_counts)[:-1], axis=1)


# One-line references in numpy, for features without batch.


@law
def equals_reference(
    statistic: Statistic, reference: Callable[[Features], np.ndarray | float], features: Features
) -> None:
    assert_close(statistic(features), np.asarray(reference(features)))


def reference_class_means(features: Features) -> np.ndarray:
    return np.stack([block.mean(1) for block in class_blocks(features)], axis=1)


def reference_global_mean(features: Features) -> np.ndarray:
    return features.values.numpy().mean(1, keepdims=True)


def reference_centred_means(features: Features) -> np.ndarray:
    return reference_class_means(features) - reference_global_mean(features)


def reference_residuals(features: Features) -> np.ndarray:
    return np.hstack([block - block.mean(1, keepdims=True) for block in class_blocks(features)])


def reference_within(features: Features) -> np.ndarray:
    n = features.class_counts
    return sum(k * np.atleast_2d(np.cov(b, bias=True)) for k, b in zip(n, class_blocks(features), strict=True)) / sum(n)


def reference_between(features: Features) -> np.ndarray:
    return np.atleast_2d(np.cov(reference_class_means(features), fweights=features.class_counts, bias=True))


def reference_total(features: Features) -> np.ndarray:
    return np.atleast_2d(np.cov(features.values.numpy(), bias=True))


def reference_snr(features: Features) -> np.ndarray:
    return np.linalg.inv(scipy.linalg.sqrtm(reference_within(features)).real) @ reference_centred_means(features)


def reference_snr_values(features: Features) -> np.ndarray:
    """By the generalised eigenvalues of (Mbar Mbar^T, Sigma_W): no square root is taken."""
    means = reference_centred_means(features)
    squares = scipy.linalg.eigh(means @ means.T, reference_within(features), eigvals_only=True)[::-1]
    size = features.classes - 1
    return np.sqrt(np.maximum(np.pad(squares, (0, max(0, size - len(squares))))[:size], 0))


def reference_nc1_pinv(features: Features) -> float:
    return (
        np.trace(reference_within(features) @ np.linalg.pinv(reference_between(features), rcond=1e-9))
        / features.classes
    )


def reference_nc1_trace_quotient(features: Features) -> float:
    return np.trace(reference_within(features)) / np.trace(reference_between(features))


def reference_nc2_norm(features: Features) -> float:
    norms = np.linalg.norm(reference_centred_means(features), axis=0)
    return np.std(norms) / np.mean(norms)


def reference_nc2_angle(features: Features) -> float:
    unit = reference_centred_means(features) / np.linalg.norm(reference_centred_means(features), axis=0)
    pairs = np.triu_indices(features.classes, 1)
    return np.mean(np.abs((unit.T @ unit)[pairs] + 1 / (features.classes - 1)))


def reference_nc2_etf(features: Features) -> float:
    gram = reference_centred_means(features).T @ reference_centred_means(features)
    etf = np.eye(features.classes) - 1 / features.classes
    return np.linalg.norm(gram / np.linalg.norm(gram) - etf / np.linalg.norm(etf))


@law
def nc3_equals_reference(nc3: Callable[[Tensor, Features], Tensor], classifier: Tensor, features: Features) -> None:
    w, m = classifier.numpy(), reference_centred_means(features).T
    assert_close(nc3(classifier, features), np.linalg.norm(w / np.linalg.norm(w) - m / np.linalg.norm(m)))


@law
def nc4_equals_loop(nc4: Callable[..., Tensor], classifier: Tensor, features: Features, bias: Tensor) -> None:
    means, agree = reference_class_means(features), 0
    for h in features.values.numpy().T:
        nearest = np.argmin(np.linalg.norm(means - h[:, None], axis=0))
        agree += int(np.argmax(classifier.numpy() @ h + bias.numpy()[:, 0]) == nearest)
    assert_close(nc4(classifier, features, bias), agree / features.samples)


# Laws of statistics.


@law
def covariances_add(within: Statistic, between: Statistic, total: Statistic, features: Features) -> None:
    assert_close(within(features) + between(features), total(features))


@law
def weighted_columns_sum_to_zero(centred_means: Statistic, features: Features) -> None:
    assert_close((centred_means(features) * features.class_weights).sum(-1), np.zeros(features.values.shape[:-1]))


@law
def batch_equals_loop(statistic: Statistic, features: Features) -> None:
    flat = features.values.reshape(-1, *features.values.shape[-2:])
    single = torch.stack([statistic(Features(values, features.class_counts)) for values in flat])
    batched = statistic(features)
    assert_close(batched, single.reshape(*features.batch, *single.shape[1:]))


@law
def sample_order_is_irrelevant(statistic: Statistic, features: Features, order: Tensor) -> None:
    """`order` permutes the samples within their classes."""
    assert_close(statistic(Features(features.values[..., order], features.class_counts)), statistic(features))


def permuted_classes(features: Features, order: list[int]) -> Features:
    blocks = features.values.split(list(features.class_counts), dim=-1)
    return Features(torch.cat([blocks[k] for k in order], -1), tuple(features.class_counts[k] for k in order))


@law
def columns_follow_classes(statistic: Statistic, features: Features, order: list[int]) -> None:
    assert_close(statistic(permuted_classes(features, order)), statistic(features)[..., order])


@law
def class_order_is_irrelevant(statistic: Statistic, features: Features, order: list[int]) -> None:
    assert_close(statistic(permuted_classes(features, order)), statistic(features))


@law
def covariance_is_equivariant(covariance: Statistic, features: Features, linear: Tensor, translation: Tensor) -> None:
    """Sigma(A H + v 1^T) = A Sigma(H) A^T."""
    assert_close(covariance(features.transformed(linear, translation)), linear @ covariance(features) @ linear.mT)


@law
def rotates_with_features(statistic: Statistic, features: Features, rotation: Tensor, translation: Tensor) -> None:
    """S(Q H + v 1^T) = Q S(H) for orthogonal Q."""
    assert_close(statistic(features.transformed(rotation, translation)), rotation @ statistic(features))


@law
def means_are_affine(means: Statistic, features: Features, linear: Tensor, translation: Tensor) -> None:
    """M(A H + v 1^T) = A M(H) + v 1^T."""
    assert_close(means(features.transformed(linear, translation)), linear @ means(features) + translation)


@law
def is_affine_invariant(statistic: Statistic, features: Features, linear: Tensor, translation: Tensor) -> None:
    assert_close(statistic(features.transformed(linear, translation)), statistic(features), rtol=1e-7)


@law
def is_similarity_invariant(
    statistic: Statistic, features: Features, rotation: Tensor, scale: float, translation: Tensor
) -> None:
    """Free of rotation, scale and translation."""
    assert_close(statistic(features.transformed(scale * rotation, translation)), statistic(features))


@law
def vanishes_on(statistic: Statistic, features: Features) -> None:
    assert_close(statistic(features), np.zeros(features.batch), rtol=1e-12)


@law
def is_accurate_near_collapse(covariance: Statistic, features: Features, offset: float) -> None:
    """In float32 and far from the origin as accurate as the rounding of the features allows."""
    single = Features((features.values + offset).float(), features.class_counts)
    assert_close(
        covariance(single).double() * 1e6, covariance(Features(single.values.double(), single.class_counts)) * 1e6, 1e-5
    )


# Laws of frames.


@law
def gram_is_etf(frame: Tensor) -> None:
    classes = frame.shape[-1]
    gram = (np.eye(classes) - 1 / classes) * classes / (classes - 1)
    assert_close(frame.mT @ frame, np.broadcast_to(gram, (*frame.shape[:-2], classes, classes)).copy())


@law
def gram_is_diagonal(frame: Tensor, lengths: list[float]) -> None:
    gram = np.diag(np.square(lengths))
    assert_close(frame.mT @ frame, np.broadcast_to(gram, (*frame.shape[:-2], *gram.shape)).copy())


@law
def is_uniform(isometry: Callable[..., Tensor], rows: int) -> None:
    """The mean of Q over many seeds is zero: LAPACK's own signs are far from that."""
    mean = isometry(rows, rows, seed=0, batch=(4000,)).mean(0)
    assert float(mean.abs().max()) < 6 * (4000 * rows) ** -0.5


@law
def deviation_equals_reference(deviation: Callable[[Tensor, Any], Tensor], kind: str, columns: Tensor) -> None:
    gram = columns.numpy().T @ columns.numpy()
    n = len(gram)
    frame = {"etf": np.eye(n) - 1 / n, "of": np.eye(n), "gof": np.diag(np.diag(gram))}[kind]
    frame = frame / np.linalg.norm(gram if kind == "gof" else frame)
    assert_close(deviation(columns, kind), np.linalg.norm(gram / np.linalg.norm(gram) - frame))


@law
def deviation_vanishes_on_frame(deviation: Callable[[Tensor, Any], Tensor], kind: str, frame: Tensor) -> None:
    assert_close(deviation(frame, kind), np.zeros(frame.shape[:-2]), rtol=1e-12)


# Laws of losses.


@law
def loss_equals_loop(loss: Loss, classifier: Tensor, features: Features, decay: float) -> None:
    w, total = classifier.numpy(), 0.0
    for h, label in zip(features.values.numpy().T, features.labels.tolist(), strict=True):
        total += 0.5 * float(np.sum((w @ h - np.eye(len(w))[label]) ** 2))
    expected = total / features.samples + 0.5 * decay * float(np.sum(w**2))
    assert_close(loss(classifier, features.values, features.one_hot, decay), expected)


@law
def cross_entropy_equals_loop(loss: Loss, classifier: Tensor, features: Features, decay: float) -> None:
    w, total = classifier.numpy(), 0.0
    for h, label in zip(features.values.numpy().T, features.labels.tolist(), strict=True):
        total += float(scipy.special.logsumexp(w @ h) - (w @ h)[label])
    expected = total / features.samples + 0.5 * decay * float(np.sum(w**2))
    assert_close(loss(classifier, features.values, features.one_hot, decay), expected)


def autograd(loss: Loss, classifier: Tensor, features: Tensor, targets: Tensor, decay: float) -> Tensor:
    variable = classifier.clone().requires_grad_(True)
    loss(variable, features, targets, decay).sum().backward()
    assert variable.grad is not None
    return variable.grad


@law
def gradient_is_derivative(
    gradient: Loss, loss: Loss, point: Tensor, features: Tensor, targets: Tensor, decay: float
) -> None:
    assert_close(gradient(point, features, targets, decay), autograd(loss, point, features, targets, decay))


@law
def minimum_is_stationary(
    minimum: Callable[..., Any], loss: Loss, features: Tensor, targets: Tensor, decay: float
) -> None:
    solution = minimum(features, targets, decay)
    assert solution.converged
    # Where W is huge (features nearly dependent), so is the rounding of W H.
    scale = max(1.0, float(features.abs().max())) ** 2 * max(1.0, float(solution.value.abs().max()))
    slope = autograd(loss, solution.value, features, targets, decay)
    assert_close(slope / scale, np.zeros(tuple(slope.shape)), rtol=1e-10)
    assert_close(solution.stats.loss, loss(solution.value, features, targets, decay))


@law
def minimum_is_below(
    minimum: Callable[..., Any], loss: Loss, features: Tensor, targets: Tensor, decay: float, step: Tensor
) -> None:
    """Nothing below along a step, back along it, or downhill."""
    solution = minimum(features, targets, decay)
    least = loss(solution.value, features, targets, decay)
    downhill = autograd(loss, solution.value, features, targets, decay)
    for move in (step, -step, 1e-3 * step, -1e-3 * step, -1e-3 * downhill):
        moved = loss(solution.value + move, features, targets, decay)
        assert bool((moved >= least - 1e-14).all())


def exact_least_loss(features: Tensor, targets: Tensor) -> float:
    """The least loss without decay, for independent rows, in rational arithmetic on the very floats."""

    def rational(matrix: Tensor) -> flint.fmpq_mat:
        entries = [flint.fmpq(*x.as_integer_ratio()) for x in matrix.flatten().tolist()]
        return flint.fmpq_mat(*matrix.shape, entries)

    h, y = rational(features), rational(targets)
    error = (h * h.transpose()).solve(h * y.transpose()).transpose() * h - y
    square = sum((x * x for x in error.entries()), flint.fmpq(0)) / (2 * features.shape[1])
    return int(square.p) / int(square.q)


@law
def minimum_states_its_error(minimum: Callable[..., Any], features: Tensor, targets: Tensor) -> None:
    """Without decay, for independent rows: the error that is stated bounds the one that exact arithmetic finds."""
    solution = minimum(features, targets, 0.0)
    error = abs(float(solution.stats.loss) - exact_least_loss(features, targets))
    assert error <= float(solution.stats.loss_error), error


@law
def minimum_has_least_norm(minimum: Callable[..., Any], features: Tensor, targets: Tensor, rank: int) -> None:
    """Without decay and with dependent features, against the pseudo-inverse."""
    solution = minimum(features, targets, 0.0)
    assert_close(solution.value, targets.numpy() @ np.linalg.pinv(features.numpy(), rcond=1e-10))
    assert int(solution.stats.rank) == rank


@law
def minimum_equals_normal_equations(
    minimum: Callable[..., Any], features: Tensor, targets: Tensor, decay: float
) -> None:
    h, y = features.numpy(), targets.numpy()
    samples, dimension = h.shape[1], h.shape[0]
    expected = scipy.linalg.solve(h @ h.T / samples + decay * np.eye(dimension), h @ y.T / samples, assume_a="pos").T
    assert_close(minimum(features, targets, decay).value, expected)


# Laws of models.


@law
def sample_is_deterministic(sample: Callable[[int], Features], seed: int) -> None:
    """The same from the same seed whatever the global one is, which is left alone; different from another seed."""
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = sample(seed).values
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(sample(seed).values, first)
    assert not torch.equal(sample(seed + 1).values, first)


@law
def sample_fits_its_spec(
    sample: Callable[..., Features], model: FeatureModel, seed: int, batch: tuple[int, ...]
) -> None:
    features = sample(seed, batch=batch)
    assert tuple(features.values.shape) == (*batch, model.dimension, sum(model.class_counts))
    assert features.class_counts == model.class_counts
    assert features.values.dtype == torch.float64
    members = features.values.reshape(-1, features.values[0].numel() if batch else features.values.numel())
    assert len(torch.unique(members, dim=0)) == len(members), "batch members are equal"


@law
def sample_has_the_scales(sample: Callable[..., Features], model: FeatureModel) -> None:
    """Mean squares within a class and of its centre, for a large sample; standard errors below 2 %."""
    blocks = np.split(sample(0, batch=(400,)).values.numpy(), np.cumsum(model.class_counts)[:-1], axis=-1)
    within = np.mean([block.var(-1, ddof=1).mean() for block in blocks])
    means = np.concatenate([block.mean(-1) for block in blocks], axis=-1)
    between = np.mean(means**2) - within / model.class_counts[0]
    assert abs(within / model.within_scale**2 - 1) < 0.1
    assert abs(between / model.mean_scale**2 - 1) < 0.1


@law
def labels_follow_counts(
    labels: Callable[[Features], Tensor], one_hot: Callable[[Features], Tensor], features: Features
) -> None:
    expected = np.repeat(np.arange(features.classes), features.class_counts)
    assert labels(features).tolist() == expected.tolist()
    assert_close(one_hot(features), np.eye(features.classes)[:, expected])


@law
def affine_image_is_by_sample(
    transformed: Callable[..., Features], features: Features, linear: Tensor, v: Tensor
) -> None:
    image = transformed(features, linear, v).values.numpy().T
    for h, mapped in zip(features.values.numpy().T, image, strict=True):
        np.testing.assert_allclose(mapped, linear.numpy() @ h + v.numpy()[:, 0], atol=1e-12, rtol=1e-12)


@law
def extension_appends_one(extended: Callable[[Features], Features], features: Features) -> None:
    assert_close(extended(features).values, np.vstack([features.values.numpy(), np.ones(features.samples)]))


@law
def sorting_by_label_is_stable(from_labels: Callable[..., Features], features: Features, order: Tensor) -> None:
    """Shuffled features, sorted again by label, keep the shuffled order within each class."""
    result = from_labels(features.values[:, order], features.labels[order])
    expected = torch.cat(
        [features.values[:, [i for i in order.tolist() if features.labels[i] == k]] for k in range(features.classes)],
        -1,
    )
    assert result.class_counts == features.class_counts
    assert torch.equal(result.values, expected)


@law
def refuses(call: Callable[[], object], words: str) -> None:
    """ValueError, in one line that contains the words."""
    try:
        call()
    except ValueError as error:
        message = str(error)
        assert words in message, message
        assert "\n" not in message, message
        return
    raise AssertionError(f"accepted; expected ValueError: {words}")
