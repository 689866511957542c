"""Geometry of global minima in dang2023, balanced classes: at the threshold, at every layer, behind a narrow layer."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

from ...theory import bottleneck, broken_bottleneck, critical_values, deep_linear, layerwise, scalar_problem
from ...theory.symbols import POSITIVE, integers, reals
from ..claim import Claim
from ..domain import Domain, Parameter
from ..evidence import Comparison, Kind, Verdict
from ..prediction import Input, Prediction
from .critical_points import VERSION
from .deep import CLASS_SIZES, EXISTS, FEATURE_DECAY, LAYERS, WEIGHT_DECAYS, evaluated, layer_decays, near_threshold

CLASSES = Parameter(bottleneck.K, integers(2), "number of classes", sampled_to=4)
PER_CLASS = Parameter(bottleneck.n, integers(1), "samples per class", sampled_to=4)
DECAY = Parameter(bottleneck.lam_H, POSITIVE, "decay of the features")


def narrow_domain(problem: bottleneck.Bottleneck, conditions: tuple[Any, ...]) -> Domain:
    """Parameters of a minimum behind a layer of width d."""
    depth = Parameter(bottleneck.M, integers(2 if problem.tie else 1), "number of layers M", sampled_to=3)
    decays = [
        Parameter(point.decays, reals(0), f"decay terms of the layers, {says}")
        for point, says in (
            (problem.any_point, "at any critical point"),
            (problem.minimiser, "at a minimiser"),
            (problem.best, "at the balanced factors"),
        )
    ]
    rank = [Parameter(problem.rank, integers(1), "rank of the balanced factors")] if problem.tie else []
    return Domain(
        (
            CLASSES,
            PER_CLASS,
            depth,
            Parameter(bottleneck.d, integers(1), "least width of a layer", sampled_to=3),
            Parameter(bottleneck.p, integers(1), "dimension of the features"),
            Parameter(bottleneck.z, integers(1), "columns of Z and F"),
            *rank,
            DECAY,
            Parameter(bottleneck.b, POSITIVE, "slope b of the scalar problem"),
            Parameter(bottleneck.x, POSITIVE, "positive minimiser of the scalar problem"),
            *decays,
        ),
        conditions,
    )


NARROW = bottleneck.Bottleneck()
NARROW_DOMAIN = narrow_domain(NARROW, (bottleneck.d < bottleneck.K,))
narrow_setting = broken_bottleneck.widened(NARROW, NARROW.setting(NARROW_DOMAIN.ranges))

TIE = bottleneck.Bottleneck(tie=True)
TIE_DOMAIN = narrow_domain(TIE, (bottleneck.d <= bottleneck.K, TIE.rank <= bottleneck.d))
tie_setting = broken_bottleneck.widened(TIE, TIE.setting(TIE_DOMAIN.ranges))

chain = layerwise.Layers()
CHAIN_DOMAIN = Domain(
    (
        CLASSES,
        PER_CLASS,
        *(Parameter(size, integers(1), says) for size, says in layerwise.SIZES.items()),
        DECAY,
        *(Parameter(scalar, POSITIVE, says) for scalar, says in layerwise.SCALARS.items()),
    )
)
chain_setting = chain.setting(CHAIN_DOMAIN.ranges)


# ---- simulation
def widths_with(narrow: int, classes: int, depth: int, rng: random.Random) -> tuple[int, ...]:
    """One layer, any of them, has the narrow width."""
    position = rng.randrange(depth)
    return tuple(narrow if m == position else 2 * classes for m in range(depth))


def simulate_coexistence(values: Mapping[str, Any], seed: int) -> Comparison:
    """At the threshold: f at every point where a minimisation ends, and all eigenvalues of W W^T there, in N lambda_H.

    The eigenvalues are compared with the nearest of 0 and M - 1.
    """
    from ...numerics import minimisation
    from ...numerics.deep_linear import DeepLinearUFM

    rng, depth, classes = random.Random(seed), values["M"], values["K"]
    bias, samples = rng.random() < 0.5, classes * values["n"]
    decays = near_threshold(values["n"], samples, depth, 1.0, rng)
    widths = widths_with(values["d"], classes, depth, rng)
    model = DeepLinearUFM((values["n"],) * classes, widths, depth, decays, bias=bias)
    found = minimisation.global_minimum(model, seed, starts=8, sizes=(0.05, 2.0))  # which end at all ranks
    least = (classes - bias) / (2 * classes)
    measured = found.value.losses[found.value.converged].tolist()
    theoretical = [least] * len(measured)
    roots = (found.value.spectrum.singular_values.square() / (samples * decays[-1])).tolist()
    measured += roots
    theoretical += [min((0.0, depth - 1.0), key=lambda root: abs(root - value)) for value in roots]
    return Comparison(measured, theoretical, 1e-6, converged=found.converged)


def simulate_layers(values: Mapping[str, Any], seed: int) -> Comparison:
    """Every partial product from above, and the class means of every partial product from below, in their own units."""
    import numpy as np

    from ...numerics import minimisation
    from ...numerics.deep_linear import DeepLinearUFM

    rng, classes = random.Random(seed), values["K"]
    depth, bias, samples = rng.randint(1, 4), rng.random() < 0.5, classes * values["n"]
    ratio = rng.uniform(0.1, 0.9)
    slope = scalar_problem.threshold(depth) * ratio
    decays = near_threshold(values["n"], samples, depth, ratio, rng)
    model = DeepLinearUFM((values["n"],) * classes, 2 * classes, depth, decays, bias=bias)
    found = minimisation.global_minimum(model, seed, starts=12)
    root = float(scalar_problem.minimiser(slope, depth).value)
    factor = slope / (depth * classes) * root  # of every lam_m W_m W_m^T
    share = root**depth / (1 + root**depth)
    chain = [found.value.best.features, *found.value.best.weights]
    means, unit = share * (1 - share) / (samples * decays[-1]), np.eye(classes) - bias / classes
    measured: list[float] = []
    for m in range(depth):
        above, below = chain[-1], chain[0]
        for layer in reversed(chain[1 + m : -1]):
            above = above @ layer
        for layer in chain[1 : 1 + m]:
            below = layer @ below
        top = math.prod(factor / decay for decay in decays[m:-1])
        bottom = means * math.prod(factor / decay for decay in decays[:m])
        measured += ((above @ above.mT) / top).flatten().tolist()
        measured += ((below.mT @ below) / bottom).flatten().tolist()
    return Comparison(measured, unit.ravel().tolist() * (2 * depth), 1e-5, converged=found.converged)


def simulate_narrow(values: Mapping[str, Any], seed: int) -> Comparison:
    """Balanced without and with a bias, and imbalanced: f, eigenvalues of W W^T, Hbar^T Hbar and W Hbar beside it."""
    import numpy as np

    from ...numerics import minimisation
    from ...numerics.deep_linear import DeepLinearUFM

    rng, depth, classes, narrow = random.Random(seed), values["M"], values["K"], values["d"]
    case = rng.choice(("balanced", "bias", "imbalanced"))
    counts = (values["n"],) * classes
    if case == "imbalanced":
        counts = tuple(sorted(rng.sample(range(2, 5 + classes), classes), reverse=True))
    samples, bias = sum(counts), case == "bias"
    decays = near_threshold(samples / classes, samples, depth, rng.uniform(0.1, 0.9), rng)
    model = DeepLinearUFM(counts, widths_with(narrow, classes, depth, rng), depth, decays, bias=bias)
    found = minimisation.global_minimum(model, seed, starts=16)
    best, ridge = found.value.best, samples * decays[-1]
    predicted = deep_linear.minimum(deep_linear.one_hot(counts, bias), samples, decays, width=narrow)
    square = (best.product @ best.product.mT).numpy() / ridge
    gram, outputs = (best.features.mT @ best.features).numpy() * ridge, (best.product @ best.features).numpy()
    powers = np.sort(predicted.p / ridge)[::-1]
    roots = np.linalg.eigvalsh(square)[::-1]
    measured = [float(found.stats.loss), *roots.tolist(), *(bias * square.sum(axis=0)).tolist()]
    theoretical = [predicted.f_min, *powers.tolist(), *[0.0] * classes]
    # the same eigenvectors: both are functions of W W^T
    resolvent = np.linalg.inv(np.eye(classes) + square)
    measured += [*gram.ravel().tolist(), *outputs.ravel().tolist()]
    shares = resolvent @ square
    theoretical += [*(resolvent @ shares).ravel().tolist(), *shares.ravel().tolist()]
    if case == "imbalanced":
        measured += square.ravel().tolist()
        theoretical += np.diag(powers).ravel().tolist()
    edge = scalar_problem.threshold(depth)
    clear = bool((abs(predicted.b[predicted.b < np.inf] / edge - 1) > 0.02).all()) or depth == 1
    return Comparison(measured, theoretical, 1e-5 * max(1.0, float(powers[0])), converged=found.converged and clear)


# ---- prediction
def predict_narrow(values: Mapping[str, Any], digits: int | None) -> dict[str, Any]:
    """The squared singular values of W, largest first, and the minimum of f."""
    counts, width = tuple(sorted(values["n"], reverse=True)), values["d"]
    if width >= len(counts):
        raise ValueError(
            f"d (least width): expected less than K = {len(counts)}, got {width}; wide layers are in "
            "dang2023/imbalanced-deep"
        )
    found = evaluated(counts, sum(counts), layer_decays(values), digits, width)
    return {"p": found["p"], "f_min": found["f_min"]}


NARROW_PREDICTION = Prediction(
    (CLASS_SIZES, Input("d", integers(1), "least width"), WEIGHT_DECAYS, FEATURE_DECAY, LAYERS), predict_narrow
)

SYMBOLS = (
    "J = 0 without a bias and 1 1^T/K with one, (I - J) Y being the labels or the centred labels. Xi, L = Xi^M and Q "
    "describe any critical point, by W W^T = N lambda_H Q L Q^T; the index 0 is of any minimiser, 1 of balanced "
    "factors that attain the minimum. Z Z^T = g_b(Xi) - v I and F F^T = L (I + L)^(-1), so that the minimum is f less "
    "the two squares, v being the least value of g_b."
)

CLAIMS = (
    Claim(
        "dang2023/coexistence",
        "At the threshold singular values of W may be zero or not, in any number: all of these points are minimisers",
        Kind.IDENTITY,
        TIE.statement,
        tie_setting,
        TIE_DOMAIN,
        lambda: bottleneck.minimisers(TIE, tie_setting),
        simulate_coexistence,
        Verdict.PROVED,
        version=VERSION,
        locator="section 3",
        notes="At b = beta_M the minimiser x of g_b has x^M = M - 1, and v = 1 = g_b(0). Balanced factors with a "
        "centred frame of any rank r attain the minimum, and at every minimiser Xi^2 = x Xi, so that W W^T is a "
        f"multiple of a projection that is orthogonal to J. {SYMBOLS}",
        lemmas=EXISTS,
    ),
    Claim(
        "dang2023/layerwise",
        "Below the threshold, with wide layers, every partial product of the layers has the geometry of the whole",
        Kind.IDENTITY,
        chain.statement,
        chain_setting,
        CHAIN_DOMAIN,
        lambda: layerwise.induction(chain, chain_setting),
        simulate_layers,
        Verdict.PROVED,
        version=VERSION,
        locator="section 3",
        notes="P is I, or I - 1 1^T/K with a bias; what is assumed of V = W_M and W is what balanced-of and "
        "balanced-etf say of minimisers. The induction starts at W_M (U = P, A = V) and at the features (G = Hbar, H "
        "in the place of B) and goes from layer to layer: A above B, with U the product of the layers above A and G "
        "the class means of the product of the layers below B.",
        lemmas=(*layerwise.INDUCTION, *EXISTS, critical_values.POWER, critical_values.EIGENVECTORS),
    ),
    Claim(
        "dang2023/bottleneck",
        "Behind a layer of width d < K the largest classes are learned, or, balanced, a best approximation of rank d",
        Kind.IDENTITY,
        NARROW.statement,
        narrow_setting,
        NARROW_DOMAIN,
        lambda: bottleneck.minimisers(NARROW, narrow_setting),
        simulate_narrow,
        Verdict.SUPPORTED,
        version=VERSION,
        locator="sections 3 and 4",
        notes="Proved for balanced classes, without and with a bias: W W^T, Hbar^T Hbar and W Hbar are multiples of "
        "the projection Q_0 Q_0^T, which is a best approximation of I - J of rank d. For imbalanced classes the claim "
        "needs n_d > n_{d+1}: in a tie any d directions that hold all larger classes and lie in the span of these and "
        f"the tied ones are as good, and W W^T need not be diagonal. {SYMBOLS}",
        lemmas=EXISTS,
        beyond="imbalanced classes, which are simulated",
        predict=NARROW_PREDICTION,
    ),
)
