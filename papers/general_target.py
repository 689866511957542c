"""The claim that generalises dang2023 to any targets: labels, encodings and regression, with a bias or without."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..theory import deep_linear, global_minima
from ..theory.critical_values import CriticalPoint
from ..theory.symbols import POSITIVE, integers
from .claim import Claim
from .dang2023.critical_points import ENOUGH, class_counts
from .dang2023.deep import (
    EXISTS,
    FEATURE_DECAY,
    LAYERS,
    MINIMAL,
    OPTIMAL,
    READING,
    SIZES,
    STARTS,
    WEIGHT_DECAYS,
    evaluated,
    layer_decays,
    near_threshold,
    parameters,
)
from .domain import Domain
from .evidence import Comparison, Kind, Verdict
from .prediction import Input, Prediction

if TYPE_CHECKING:
    from numpy.typing import NDArray

minima = global_minima.Minimisers(CriticalPoint(offset=True, aligned=True))
DOMAIN = Domain(parameters(minima.at), (ENOUGH,))
setting = minima.setting(DOMAIN.ranges)


def predict(values: Mapping[str, Any], digits: int | None) -> dict[str, Any]:
    decays = layer_decays(values)
    return evaluated(values["sigma2"], values["N"], decays, digits, values.get("width"))


PREDICTION = Prediction(
    (
        Input("sigma2", POSITIVE, "squared singular values of the targets that are not zero", many=True),
        Input("N", integers(1), "samples in all"),
        WEIGHT_DECAYS,
        FEATURE_DECAY,
        LAYERS,
        Input("width", integers(1), "least width, if less than the rank of the targets", optional=True),
    ),
    predict,
)


def drawn_targets(values: Mapping[str, Any], seed: int) -> tuple[tuple[int, ...], Any]:
    """Class sizes and the targets of the classes (K x classes): regression, an encoding of labels, or one-hot."""
    import numpy as np

    samples = min(values["N"], 3 * values["K"])
    normal = np.random.default_rng(seed).normal
    match seed % 3:
        case 0:
            return (1,) * samples, normal(size=(values["K"], samples))
        case 1:
            return class_counts(values["K"], samples, seed), normal(size=(values["K"], values["K"]))
        case _:
            return class_counts(values["K"], samples, seed), np.eye(values["K"])


class Least(NamedTuple):
    """The least point found, in its natural units, beside the prediction; ``clear``: it counts as evidence.

    ``weights`` is W W^T/(N lam_H), ``features`` N lam_H E^T E for the class means E = (n_k^(1/2) hbar_k), ``vectors``
    left singular vectors of the targets. A point with a direction within 2 % of its threshold is not clear.
    """

    loss: float
    weights: NDArray[Any]
    features: NDArray[Any]
    vectors: NDArray[Any]
    wanted_weights: NDArray[Any]
    wanted_features: NDArray[Any]
    theory: deep_linear.Minimum
    clear: bool


def searched(
    counts: tuple[int, ...], encoding: Any, bias: bool, depth: int, seed: int, width: int | None = None
) -> Least:
    """The minimum for targets (K x classes), or labels, with decays for which a direction lies near its threshold."""
    import numpy as np

    from ..numerics import minimisation
    from ..numerics.deep_linear import DeepLinearUFM
    from ..theory import scalar_problem

    rng, samples, roots = random.Random(seed), sum(counts), np.sqrt(counts)
    encoding = np.eye(len(counts)) if encoding is None else encoding
    target = encoding - (encoding @ counts / samples)[:, None] if bias else encoding
    squares, vectors = np.linalg.eigh(target * roots @ (target * roots).T)
    squares = np.where(squares > 1e-12 * squares.max(), squares, 0.0)
    square = rng.choice([each for each in squares.tolist() if each > 0])
    decays = near_threshold(square, samples, depth, 10 ** rng.uniform(-1.5, 0.2), random.Random(seed))
    rows = tuple(map(tuple, encoding.tolist()))
    model = DeepLinearUFM(counts, width or 2 * len(rows), depth, decays, bias=bias, encoding=rows)
    found = minimisation.global_minimum(model, seed, starts=STARTS, sizes=SIZES)
    theory, unit = deep_linear.minimum(squares, samples, decays), samples * decays[-1]
    weights, means = (found.value.best.product.numpy(), found.value.best.features.numpy() * roots)
    inner = vectors * (deep_linear.lengths(theory.p, samples, decays[-1]).means * unit) @ vectors.T
    edge = scalar_problem.threshold(depth)
    return Least(
        float(found.stats.loss),
        weights @ weights.T / unit,
        means.T @ means * unit,
        vectors,
        vectors * (theory.p / unit) @ vectors.T,
        (target * roots).T @ inner @ (target * roots),
        theory,
        found.converged and (depth == 1 or bool((np.abs(theory.b / edge - 1) > 0.02).all())),
    )


def compared(least: Least) -> Comparison:
    """f*, W W^T and E^T E at the least f found."""
    pairs = ((least.weights, least.wanted_weights), (least.features, least.wanted_features))
    scales = [max(1.0, float(abs(wanted).max())) for _, wanted in pairs]
    measured, theoretical = (
        [x for pair, scale in zip(pairs, scales, strict=True) for x in (pair[i] / scale).ravel().tolist()]
        for i in (0, 1)
    )
    return Comparison([*measured, least.loss], [*theoretical, least.theory.f_min], 1e-6, converged=least.clear)


def simulate(values: Mapping[str, Any], seed: int) -> Comparison:
    """Of any targets, with a bias or without."""
    counts, encoding = drawn_targets(values, seed)
    return compared(searched(counts, encoding, random.Random(seed).random() < 0.5, values["M"], seed))


CLAIM = Claim(
    "tightframe/general-target",
    "Deep linear models, any targets: the minimum and its singular values, one scalar problem for each of the targets'",
    Kind.IDENTITY,
    minima.statement,
    setting,
    DOMAIN,
    lambda: global_minima.minima(minima, setting),
    simulate,
    Verdict.PROVED,
    sharpens="dang2023/scalar-reduction",
    lemmas=EXISTS,
    notes=READING
    + OPTIMAL
    + MINIMAL
    + "A free bias has F = b 1^T and C = I - 1 1^T/N, so that T = Y C are the centred targets; without bias F = 0 "
    "and C = I. sigma_i and u_i are singular values and left singular vectors of T. Labels, encodings of labels and "
    "regression targets are values of Y. Narrower layers are in predict and not in the proof.",
    predict=PREDICTION,
)
