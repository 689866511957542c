"""The claim that generalises dang2023 to any targets: labels, encodings and regression, with a bias or without."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

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


def simulate(values: Mapping[str, Any], seed: int) -> Comparison:
    """f* and W W^T at the least f found, with a bias or without; an example at a threshold (2 %) is not counted."""
    import numpy as np

    from ..numerics import minimisation
    from ..numerics.deep_linear import DeepLinearUFM
    from ..theory import scalar_problem

    rng = random.Random(seed)
    counts, encoding = drawn_targets(values, seed)
    bias, samples = rng.random() < 0.5, sum(counts)
    target = np.repeat(encoding, counts, axis=1)
    if bias:
        target = target - target.mean(axis=1, keepdims=True)
    squares, vectors = np.linalg.eigh(target @ target.T)
    squares = np.where(squares > 1e-12 * squares.max(), squares, 0.0)
    square = rng.choice([each for each in squares.tolist() if each > 0])
    decays = near_threshold(square, samples, values["M"], 10 ** rng.uniform(-1.5, 0.2), random.Random(seed))
    rows = tuple(map(tuple, encoding.tolist()))
    model = DeepLinearUFM(counts, 2 * values["K"], values["M"], decays, bias=bias, encoding=rows)
    found = minimisation.global_minimum(model, seed, starts=STARTS, sizes=SIZES)
    theory = deep_linear.minimum(squares, samples, decays)
    unit = samples * decays[-1]
    weights = found.value.best.product
    predicted = vectors * (theory.p / unit) @ vectors.T
    scale = max(1.0, float(np.abs(predicted).max()))
    measured = [*(weights @ weights.mT / unit / scale).flatten().tolist(), float(found.stats.loss)]
    edge = scalar_problem.threshold(values["M"])
    clear = values["M"] == 1 or bool((np.abs(theory.b / edge - 1) > 0.02).all())
    theoretical = [*(predicted / scale).ravel().tolist(), theory.f_min]
    return Comparison(measured, theoretical, 1e-6, converged=found.converged and clear)


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
