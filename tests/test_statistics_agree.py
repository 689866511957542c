"""Theory and simulation agree on every object that both define, in floating point on random features.

The theory's expressions are evaluated by numpy, the simulation by torch; neither knows the other.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import assert_close, assert_mutants_die, law
from strategies import class_counts, decays, feature_models, normal_matrix, seeds
from test_frames_agree import COMPARED as FRAMES
from test_landscape_agree import COMPARED as LANDSCAPE
from tightframe import numerics, theory
from tightframe.numerics import losses, low_rank, statistics
from tightframe.numerics.deep_linear import DeepLinearUFM
from tightframe.numerics.models import FeatureModel, Features
from tightframe.theory import logit_scale, signal_to_noise
from tightframe.theory.evaluation import evaluate
from tightframe.theory.least_squares import LeastSquares
from tightframe.theory.proof.derivative import gradient
from tightframe.theory.proof.statement import Equal, PositiveDefinite
from tightframe.theory.statistics import ClassData, any_sizes, balanced
from tightframe.theory.symbols import C, N, integers, lam, n, ones, ones_row, p, reals
from torch import Tensor

ANY = any_sizes(sp.MatrixSymbol("H", p, n))
EQUAL = balanced(sp.MatrixSymbol("H", p, C * N))
SNR = signal_to_noise.signal_to_noise()
RANGES = {C: integers(2), n: integers(2), p: integers(1), lam: reals(0)}


def assignment(data: ClassData, features: Features) -> dict[Any, Any]:
    """Values of the symbols of ``data``; classes must have one size where it says so."""
    values = {
        C: features.classes,
        p: features.dimension,
        data.features: features.values,
        data.one_hot: features.one_hot,
    }
    if isinstance(data.sizes, sp.MatrixSymbol):
        return {**values, n: features.samples, data.sizes: np.diag(features.class_counts).astype(float)}
    assert features.balanced
    return {**values, N: features.class_counts[0]}


def value(expression: Any, values: dict[Any, Any]) -> Tensor:
    return torch.as_tensor(evaluate(expression, values))


# ---- statistics

Definition = Callable[[ClassData], Any]
Statistic = Callable[[Features], Tensor]


@law
def agrees(definition: Definition, statistic: Statistic, data: ClassData, features: Features) -> None:
    assert_close(statistic(features), value(definition(data), assignment(data, features)))


SHARED_STATISTICS = (
    "between_covariance",
    "centred_means",
    "class_means",
    "global_mean",
    "total_covariance",
    "within_covariance",
)


def definition(name: str) -> Definition:
    return lambda data: getattr(data, name)


@pytest.mark.parametrize("name", SHARED_STATISTICS)
@given(feature_models(class_counts()), seeds())
@settings(max_examples=40)
def test_statistic_of_classes_of_any_sizes(name: str, model: FeatureModel, seed: int) -> None:
    agrees(definition(name), getattr(statistics, name), ANY, model.sample(seed))


@pytest.mark.parametrize("name", SHARED_STATISTICS)
@given(feature_models(class_counts(balanced=True)), seeds())
@settings(max_examples=40)
def test_statistic_of_balanced_classes(name: str, model: FeatureModel, seed: int) -> None:
    """The balanced expressions, with N I for Delta; and those for any sizes say the same."""
    features = model.sample(seed)
    for data in (ANY, EQUAL):
        agrees(definition(name), getattr(statistics, name), data, features)


@given(feature_models(class_counts()), seeds())
@settings(max_examples=40)
def test_labels_satisfy_the_hypotheses_of_the_theory(model: FeatureModel, seed: int) -> None:
    features = model.sample(seed)
    for hypothesis in ANY.hypotheses[:2]:  # the third says that Delta is invertible
        assert_equation_holds(hypothesis.statement, assignment(ANY, features))


def assert_equation_holds(statement: Any, values: dict[Any, Any]) -> None:
    assert isinstance(statement, Equal)
    assert_close(value(statement.left, values), value(statement.right, values))


# ---- SNR matrix and its singular values


@st.composite
def wide_models(draw: st.DrawFn) -> FeatureModel:
    """Balanced classes with p >= C - 1 and Sigma_W invertible, as on the central path."""
    classes, per_class = draw(st.integers(2, 4)), draw(st.integers(3, 6))
    dimension = draw(st.integers(classes - 1, classes * (per_class - 1)))
    return FeatureModel((per_class,) * classes, dimension, mean_scale=draw(st.sampled_from([0.3, 1.0, 4.0])))


def decomposed(features: Features, snr: Statistic, singular_values: Statistic) -> dict[Any, Any]:
    """Values of the theory's T, U, w and V, from the simulated SNR matrix and its singular values."""
    eigenvalues, basis = np.linalg.eigh(statistics.within_covariance(features).numpy())
    left, _, right = np.linalg.svd(snr(features).numpy(), full_matrices=False)
    size = features.classes - 1
    return {
        **assignment(SNR.data, features),
        SNR.root: basis / np.sqrt(eigenvalues) @ basis.T,
        SNR.left: left[:, :size],
        SNR.right: right[:size].T,
        SNR.values: singular_values(features)[:, None],
    }


@law
def snr_agrees(snr: Statistic, singular_values: Statistic, features: Features) -> None:
    """T Mbar is the simulated SNR matrix, and every hypothesis of the theory holds for its decomposition."""
    values = decomposed(features, snr, singular_values)
    assert_close(snr(features), value(SNR.root * SNR.data.centred_means, values))
    for hypothesis in SNR.hypotheses:
        if isinstance(hypothesis.statement, PositiveDefinite):
            assert np.linalg.eigvalsh(value(hypothesis.statement.matrix, values)).min() > 0
        else:
            assert_equation_holds(hypothesis.statement, values)


@law
def loss_of_singular_values_agrees(loss: Any, singular_values: Statistic, features: Features) -> None:
    found = losses.least_squares_minimum(features.extended().values, features.one_hot)
    assert found.converged
    values = {C: features.classes, SNR.values: singular_values(features)[:, None]}
    assert_close(found.stats.loss, value(loss, values))


@given(wide_models(), seeds())
@settings(max_examples=40)
def test_snr_matrix(model: FeatureModel, seed: int) -> None:
    snr_agrees(statistics.snr_matrix, statistics.snr_singular_values, model.sample(seed))


@given(feature_models(class_counts(balanced=True, least=2), invertible_within=True), seeds())
@settings(max_examples=40)
def test_snr_singular_values(model: FeatureModel, seed: int) -> None:
    """The loss is a function of them, for p < C - 1 as well."""
    loss_of_singular_values_agrees(SNR.loss, statistics.snr_singular_values, model.sample(seed))


@given(wide_models(), seeds())
@settings(max_examples=40)
def test_optimal_classifier_of_the_central_path(model: FeatureModel, seed: int) -> None:
    features = model.sample(seed)
    values = decomposed(features, statistics.snr_matrix, statistics.snr_singular_values)
    found = losses.least_squares_minimum(features.extended().values, features.one_hot).value
    assert_close(found[:, :-1], value(SNR.optimal_weights, values), rtol=1e-6)  # Sigma_W^{-1/2}: half the digits
    assert_close(found[:, -1:], value(SNR.optimal_bias, values), rtol=1e-6)


# ---- least squares

PROBLEM = LeastSquares(ANY)


def at(features: Features, classifier: Tensor, decay: float) -> dict[Any, Any]:
    return {**assignment(ANY, features), PROBLEM.classifier: classifier, lam: decay}


@law
def loss_agrees(definition: Any, classifier: Tensor, features: Features, decay: float) -> None:
    measured = losses.least_squares_loss(classifier, features.values, features.one_hot, decay)
    assert_close(measured, value(definition, at(features, classifier, decay)))


@law
def gradient_agrees(definition: Any, classifier: Tensor, features: Features, decay: float) -> None:
    """Against the simulated gradient and automatic differentiation of the simulated loss."""
    expected = value(definition, at(features, classifier, decay))
    assert_close(losses.least_squares_gradient(classifier, features.values, features.one_hot, decay), expected)
    variable = classifier.clone().requires_grad_()
    loss = losses.least_squares_loss(variable, features.values, features.one_hot, decay)
    assert_close(torch.autograd.grad(loss, variable)[0], expected)


@law
def minimum_agrees(optimal: Any, loss: Any, features: Features, decay: float) -> None:
    """The minimiser in closed form, and the minimum as any expression in W."""
    found = losses.least_squares_minimum(features.values, features.one_hot, decay)
    assert found.converged
    predicted = value(optimal, at(features, found.value, decay))
    assert_close(found.value, predicted, rtol=1e-6)
    assert_close(found.stats.loss, value(loss, at(features, predicted, decay)), rtol=1e-7)


SLOPE = gradient(PROBLEM.loss(PROBLEM.classifier), PROBLEM.classifier, RANGES, ANY.symmetric)


@given(feature_models(class_counts()), seeds(), decays())
@settings(max_examples=40)
def test_least_squares_loss(model: FeatureModel, seed: int, decay: float) -> None:
    features = model.sample(seed)
    classifier = normal_matrix(features.classes, features.dimension, seed)
    loss_agrees(PROBLEM.loss(PROBLEM.classifier), classifier, features, decay)
    split = PROBLEM.within_loss(PROBLEM.classifier) + PROBLEM.means_loss(PROBLEM.classifier)
    loss_agrees(split, classifier, features, decay)


@given(feature_models(class_counts()), seeds(), decays())
@settings(max_examples=40)
def test_least_squares_gradient(model: FeatureModel, seed: int, decay: float) -> None:
    features = model.sample(seed)
    gradient_agrees(SLOPE, normal_matrix(features.classes, features.dimension, seed), features, decay)


@given(feature_models(class_counts()), seeds(), st.sampled_from([1e-2, 1.0]))
@settings(max_examples=40)
def test_least_squares_minimum(model: FeatureModel, seed: int, decay: float) -> None:
    features = model.sample(seed)
    minimum_agrees(PROBLEM.optimal_classifier, PROBLEM.loss(PROBLEM.classifier), features, decay)


# ---- structures of low rank


@law
def best_scale_agrees(structure: Any, direction: torch.Tensor, depth: int, per_class: int) -> None:
    """The scale of a structure of logits at which the loss is least, and that loss."""
    classes, decay = len(direction), Fraction(1, 50 * per_class)
    scale, least = logit_scale.Scaled(structure, depth, per_class, decay).best(64)
    model = DeepLinearUFM((per_class,) * classes, classes, depth, float(decay), loss="ce")
    found = low_rank.best_scale(model, direction).value
    assert abs(float(found.loss) - float(least.mid())) <= 1e-12
    assert abs(float(found.scale) - float(scale.mid())) <= 1e-6 * (1 + float(scale.mid()))  # flat at the minimum


@pytest.mark.parametrize(("classes", "depth", "per_class"), [(4, 2, 1), (5, 1, 3), (6, 3, 2)])
def test_best_scale(classes: int, depth: int, per_class: int) -> None:
    best_scale_agrees(logit_scale.pairs(classes), low_rank.paired(classes), depth, per_class)
    simplex = torch.eye(classes, dtype=torch.float64) - 1 / classes
    best_scale_agrees(logit_scale.simplex(classes), simplex, depth, per_class)


# ---- completeness

# Shared names of same-named files, and the test that compares them.
COMPARED = {
    "frames": FRAMES,
    "landscape": LANDSCAPE,
    "statistics": dict.fromkeys(SHARED_STATISTICS, test_statistic_of_classes_of_any_sizes),
}
# What has another name, or stands in another file, on the two sides: (theory, numerics).
RENAMED = {
    ("signal_to_noise.SignalToNoise.root", "statistics.snr_matrix"): test_snr_matrix,
    ("signal_to_noise.SignalToNoise.values", "statistics.snr_singular_values"): test_snr_singular_values,
    ("signal_to_noise.SignalToNoise.loss", "losses.least_squares_minimum"): test_snr_singular_values,
    ("least_squares.LeastSquares.loss", "losses.least_squares_loss"): test_least_squares_loss,
    ("least_squares.stationarity", "losses.least_squares_gradient"): test_least_squares_gradient,
    ("least_squares.LeastSquares.optimal_classifier", "losses.least_squares_minimum"): test_least_squares_minimum,
    ("logit_scale.pairs", "low_rank.paired"): test_best_scale,
    ("logit_scale.Scaled.best", "low_rank.best_scale"): test_best_scale,
}


def modules(package: Any) -> set[str]:
    return {module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")}


def public_names(module: Any) -> set[str]:
    """What a module defines, and what its classes offer, without what it imports."""
    own = {
        name: item
        for name, item in vars(module).items()
        if not name.startswith("_") and getattr(item, "__module__", None) == module.__name__
    }
    classes = [item for item in own.values() if isinstance(item, type)]
    fields = {field.name for item in classes if dataclasses.is_dataclass(item) for field in dataclasses.fields(item)}
    return set(own) | fields | {name for item in classes for name in vars(item) if not name.startswith("_")}


def shared(name: str) -> set[str]:
    sides = (importlib.import_module(f"{package.__name__}.{name}") for package in (theory, numerics))
    first, second = (public_names(side) for side in sides)
    return first & second


def test_every_shared_object_is_compared() -> None:
    """An object with one name on both sides is one object: a test in COMPARED says that they agree."""
    assert modules(theory) & modules(numerics) >= {"frames", "statistics"}
    for name in modules(theory) & modules(numerics):
        assert shared(name) == set(COMPARED.get(name, {})), f"compare what theory.{name} and numerics.{name} share"


def test_every_renamed_object_exists() -> None:
    for theoretical, numerical in RENAMED:
        for package, path in ((theory, theoretical), (numerics, numerical)):
            module, *names = path.split(".")
            item = importlib.import_module(f"{package.__name__}.{module}")
            for name in names:
                item = getattr(item, name)


def test_every_law_fails_on_a_mutant() -> None:
    unequal, equal = FeatureModel((5, 2, 3), 3).sample(0), FeatureModel((4, 4, 4), 3).sample(0)
    classifier = normal_matrix(3, 3, 1)
    decay, free = 0.5, PROBLEM.classifier
    errors = free * ANY.features - ANY.one_hot
    snr, w = statistics.snr_matrix, statistics.snr_singular_values

    def mean_of_means(data: ClassData) -> Any:
        return data.class_means * ones(data.classes) / data.classes

    def centred_by_mean_of_means(data: ClassData) -> Any:
        return data.class_means - mean_of_means(data) * ones_row(data.classes)

    def unweighted_between(data: ClassData) -> Any:
        return data.centred_means * data.centred_means.T / data.classes

    def per_class_within(data: ClassData) -> Any:
        """1/N for 1/(C N)."""
        return data.classes * data.within_covariance

    def unbiased(data: ClassData) -> Any:
        return data.total_covariance * data.samples / (data.samples - 1)

    def means_by_average_size(data: ClassData) -> Any:
        return data.features * data.one_hot.T * data.classes / data.samples

    def uncentred(data: ClassData) -> Any:
        return data.features * data.features.T / data.samples

    mutants = [
        (best_scale_agrees, (logit_scale.pairs(4), torch.eye(4, dtype=torch.float64) - 0.25, 2, 1)),
        (best_scale_agrees, (logit_scale.pairs(4, 1), low_rank.paired(4), 2, 1)),
        (agrees, (mean_of_means, statistics.global_mean, ANY, unequal)),
        (agrees, (centred_by_mean_of_means, statistics.centred_means, ANY, unequal)),
        (agrees, (unweighted_between, statistics.between_covariance, ANY, unequal)),
        (agrees, (per_class_within, statistics.within_covariance, EQUAL, equal)),
        (agrees, (unbiased, statistics.total_covariance, EQUAL, equal)),
        (agrees, (uncentred, statistics.total_covariance, EQUAL, equal)),
        (agrees, (means_by_average_size, statistics.class_means, ANY, unequal)),
        (agrees, (definition("class_means"), lambda f: statistics.class_means(f).flip(-1), ANY, unequal)),
        (snr_agrees, (lambda f: snr(f).flip(-1), w, equal)),
        (snr_agrees, (snr, lambda f: w(f).square(), equal)),
        (snr_agrees, (lambda f: statistics.centred_means(f), w, equal)),
        (loss_of_singular_values_agrees, (2 * SNR.loss, w, equal)),
        (loss_of_singular_values_agrees, (SNR.loss, lambda f: w(f).square(), equal)),
        (loss_of_singular_values_agrees, (SNR.loss, w, unequal)),
        (loss_agrees, (2 * PROBLEM.loss(free), classifier, unequal, decay)),
        (loss_agrees, (LeastSquares(ANY, sp.S.Zero).loss(free), classifier, unequal, decay)),
        (loss_agrees, (PROBLEM.within_loss(free), classifier, unequal, decay)),
        (gradient_agrees, (errors * ANY.features.T / n, classifier, unequal, decay)),
        (gradient_agrees, (errors * ANY.features.T + lam * free, classifier, unequal, decay)),
        (gradient_agrees, (2 * SLOPE, classifier, unequal, decay)),
        (minimum_agrees, (PROBLEM.optimal_classifier * 2, PROBLEM.loss(free), unequal, decay)),
        (minimum_agrees, (ANY.class_means.T * PROBLEM.metric.inv() / C, PROBLEM.loss(free), unequal, decay)),
        (minimum_agrees, (PROBLEM.optimal_classifier, PROBLEM.within_loss(free), unequal, decay)),
    ]
    assert_mutants_die(globals(), mutants)
    with pytest.raises(AssertionError):
        assert_equation_holds(Equal(ANY.one_hot * ANY.one_hot.T, 2 * ANY.sizes), assignment(ANY, unequal))


def test_a_shared_object_without_comparison_is_noticed() -> None:
    shorter = {**COMPARED["statistics"]}
    shorter.pop("global_mean")
    assert shared("statistics") - set(shorter) == {"global_mean"}
