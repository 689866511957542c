"""Critical points of dang2023: balanced layers, and features that are a ridge regression. N counts all samples."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...theory import balance
from ...theory.evaluation import evaluate
from ...theory.proof.checker import Range
from ...theory.symbols import integers, reals
from ..claim import Claim
from ..domain import Domain, Parameter
from ..evidence import Comparison, Kind, Verdict

if TYPE_CHECKING:
    from torch import Tensor

    from ...numerics.deep_linear import DeepLinearUFM, Factors

VERSION = "2301.00437v5"

CLASSES = Parameter(balance.K, integers(2), "number of classes")
SAMPLES = Parameter(balance.N, integers(1), "samples in all", sampled_to=30)
ENOUGH = balance.N >= balance.K


def of_samples(scalars: Mapping[Any, tuple[Range, str]]) -> Domain:
    """K classes with N samples in all, and further scalars."""
    return Domain((CLASSES, SAMPLES, *(Parameter(symbol, *each) for symbol, each in scalars.items())), (ENOUGH,))


layers = balance.two_layers()
LAYERS_DOMAIN = Domain(
    (
        CLASSES,
        SAMPLES,
        *(Parameter(size, integers(1), f"rows of {name}") for size, name in zip(layers.sizes, "ABR", strict=True)),
        *(Parameter(decay, reals(0, open=True), f"decay of {n}") for decay, n in zip(layers.decays, "AB", strict=True)),
    ),
    (ENOUGH,),
)
layers_setting = layers.setting(LAYERS_DOMAIN.ranges)

features = balance.features()
FEATURES_DOMAIN = Domain(
    (
        CLASSES,
        SAMPLES,
        Parameter(features.width, integers(1), "dimension of the features"),
        Parameter(features.decay, reals(0, open=True), "decay of the features"),
    ),
    (ENOUGH,),
)
features_setting = features.setting(FEATURES_DOMAIN.ranges)


# ---- simulation
GRAMS = ("WW^T", "Hbar^T Hbar", "W Hbar")


def grams(product: Tensor, means: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """W W^T, Hbar^T Hbar and W Hbar, of W (..., K, d) and Hbar (..., d, K)."""
    return product @ product.mT, means.mT @ means, product @ means


def class_counts(classes: int, samples: int, seed: int) -> tuple[int, ...]:
    """Random class sizes, none of them zero."""
    cuts = sorted(random.Random(seed).sample(range(1, samples), classes - 1))
    return tuple(high - low for low, high in zip((0, *cuts), (*cuts, samples), strict=True))


def critical_point(model: DeepLinearUFM, seed: int, eliminate: bool) -> tuple[Factors, bool]:
    """Where a minimisation ends, with the features of all samples, and whether it converged."""
    from ...numerics import initialisers, minimisation
    from ...numerics.deep_linear import Factors

    start = initialisers.gaussian(model, seed=seed, collapsed=True)
    found = minimisation.minimise(model, start, eliminate=eliminate)
    point = found.value
    repeats = point.features.new_tensor(model.class_counts).long()
    return Factors(point.weights, point.features.repeat_interleave(repeats, dim=-1), point.bias), found.converged


def simulate_balance(values: Mapping[str, Any], seed: int) -> Comparison:
    """At a critical point of two or three layers with a bias: lam_A A^T A beside lam_B B B^T, in their largest unit."""
    from ...numerics.deep_linear import DeepLinearUFM

    counts = class_counts(values["K"], values["N"], seed)
    upper, lower = values["lambda_A"] / (10 * values["N"]), values["lambda_B"] / (10 * values["N"])
    depth = 2 + seed % 2
    widths, decays = (values["e"], values["c"], values["a"])[-depth:], (upper,) * (depth - 2) + (lower, upper, lower)
    model = DeepLinearUFM(counts, widths, depth, decays, bias=bool(seed % 3))
    point, converged = critical_point(model, seed, eliminate=True)
    chain = (point.features, *point.weights)
    measured: list[float] = []
    theoretical: list[float] = []
    for m in range(depth):
        below, above = (decays[-1], *decays[:-1])[m], decays[m]
        measured += (above * chain[m + 1].mT @ chain[m + 1]).flatten().tolist()
        theoretical += (below * chain[m] @ chain[m].mT).flatten().tolist()
    return Comparison(measured, theoretical, 1e-8, converged=converged)


def simulate_ridge(values: Mapping[str, Any], seed: int) -> Comparison:
    from ...numerics.deep_linear import DeepLinearUFM

    counts = class_counts(values["K"], values["N"], seed)
    decay = values["lambda_H"]
    model = DeepLinearUFM(counts, values["d"], 1, (0.01 / (decay * values["N"] ** 2), decay))
    point, converged = critical_point(model, seed, eliminate=False)
    one_hot = point.features.new_zeros(values["K"], values["N"])
    labels = [k for k, count in enumerate(counts) for _ in range(count)]
    one_hot[labels, range(values["N"])] = 1.0
    here = {
        balance.K: values["K"],
        balance.N: values["N"],
        features.width: values["d"],
        features.decay: decay,
        features.weights: point.weights[0].numpy(),
        features.targets: one_hot.numpy(),
    }
    theoretical = evaluate(features.ridge.right, here)
    scale = max(1.0, float(abs(theoretical).max()), 1 / decay)
    return Comparison(
        point.features.flatten().tolist(), theoretical.ravel().tolist(), 1e-8 * scale, converged=converged
    )


CLAIMS = (
    Claim(
        "dang2023/balancedness",
        "Consecutive layers are balanced at every critical point, the features counting as one",
        Kind.IDENTITY,
        layers.statement,
        layers_setting,
        LAYERS_DOMAIN,
        lambda: balance.balanced(layers, layers_setting),
        simulate_balance,
        Verdict.PROVED,
        version=VERSION,
        locator="section 3",
        notes="A is any layer above another one, B: P is the product of the layers above A, R that of the layers below "
        "B and the features. With A = W_1 and B = H, R is the identity. The bias may be any, critical or not; of the "
        "labels nothing is used.",
    ),
    Claim(
        "dang2023/ridge-features",
        "Without bias the features are a ridge regression at every critical point",
        Kind.IDENTITY,
        features.statement,
        features_setting,
        FEATURES_DOMAIN,
        lambda: balance.ridge_regression(features, features_setting),
        simulate_ridge,
        Verdict.PROVED,
        version=VERSION,
        locator="section 3",
        notes="W is the product of all layers, whatever it is: only the gradient in the features has to vanish.",
    ),
)
