"""The least-squares problem of han2022: its classifier, its decompositions, the loss on the central path.

The paper's N is the number of samples **per class**; extended features (tilde) append a constant 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix

from ...theory import least_squares, signal_to_noise
from ...theory.evaluation import evaluate
from ...theory.proof.statement import Equal, EqualInfima, Minimum
from ...theory.statistics import balanced
from ...theory.symbols import C, N, frobenius_squared, integers, lam, ones, p, quadratic, reals
from ..claim import Claim
from ..domain import Domain, Parameter
from ..evidence import Comparison, Kind, Verdict
from ..prediction import Input, Prediction, numbered, to_float

if TYPE_CHECKING:
    from ...numerics.models import Features

VERSION = "2106.02073v4"

CLASSES = Parameter(C, integers(2), "number of classes")
PER_CLASS = Parameter(N, integers(2), "samples per class")
DIMENSION = Parameter(p, integers(1), "dimension of the features")
DECAY = Parameter(lam, reals(0), "weight decay")

# ---- the extended problem and the paper's names for its parts
problem = least_squares.extended()
data = problem.data
d = problem.dimension
W, H, Y = problem.classifier, data.features, data.one_hot
identity = sp.Identity(d)

M = sp.MatrixSymbol(r"\tilde{M}", d, C)
mu = sp.MatrixSymbol(r"\tilde{\mu}_G", d, 1)
Sigma_W = sp.MatrixSymbol(r"\tilde{\Sigma}_W", d, d)
Sigma_B = sp.MatrixSymbol(r"\tilde{\Sigma}_B", d, d)
Sigma_T = sp.MatrixSymbol(r"\tilde{\Sigma}_T", d, d)
W_LS = sp.MatrixSymbol(r"\tilde{W}_{LS}", C, d)
L, L_LS, L_perp, L_NC1, L_NC23 = (
    sp.Symbol(name)
    for name in (
        r"\mathcal{L}(\tilde{W},\tilde{H})",
        r"\mathcal{L}_{LS}(\tilde{H})",
        r"\mathcal{L}_{LS}^{\perp}(\tilde{W},\tilde{H})",
        r"\mathcal{L}_{NC1}(\tilde{H})",
        r"\mathcal{L}_{NC2/3}(\tilde{H})",
    )
)

ones_n, ones_C = ones(C * N), ones(C)
COVARIANCES = {
    M: H * Y.T / N,
    mu: H * ones_n / (C * N),
    Sigma_W: (H - M * Y) * (H - M * Y).T / (C * N),
    Sigma_B: (M - mu * ones_C.T) * (M - mu * ones_C.T).T / C,
    Sigma_T: (H - mu * ones_n.T) * (H - mu * ones_n.T).T / (C * N),
}
CLASSIFIER = COVARIANCES | {
    L: frobenius_squared(W * H - Y) / (2 * C * N) + lam * frobenius_squared(W) / 2,
    W_LS: M.T * (Sigma_T + mu * mu.T + lam * identity).inv() / C,
}
LOSS = CLASSIFIER | {L_LS: frobenius_squared(W_LS * H - Y) / (2 * C * N) + lam * frobenius_squared(W_LS) / 2}
DECOMPOSITION = LOSS | {L_perp: quadratic(W - W_LS, Sigma_T + mu * mu.T + lam * identity) / 2}
SPLIT = LOSS | {
    L_NC1: quadratic(W_LS, Sigma_W + lam * identity) / 2,
    L_NC23: frobenius_squared(W_LS * M - sp.Identity(C)) / (2 * C),
}

COVARIANCE_DOMAIN = Domain((CLASSES, PER_CLASS, DIMENSION))
COVARIANCE_HYPOTHESES = (*data.hypotheses, least_squares.constant_row(problem))
WELL_POSED = Domain((CLASSES, PER_CLASS, DIMENSION, DECAY), (sp.Or(lam > 0, p + 1 <= C * N),))
hypotheses = (*COVARIANCE_HYPOTHESES, least_squares.well_posed(problem))


covariance_setting = least_squares.setting(problem, COVARIANCE_DOMAIN.ranges, COVARIANCE_HYPOTHESES, COVARIANCES)


def setting(definitions: Mapping[Any, Any]) -> least_squares.Setting:
    return least_squares.setting(problem, WELL_POSED.ranges, hypotheses, definitions)


# ---- simulation of one example: (values of the domain, seed) -> what was measured beside what theory says
def draw(values: Mapping[str, Any], seed: int) -> Features:
    """Gaussian features of C classes with N samples each, in dimension p."""
    from ...numerics.models import FeatureModel

    return FeatureModel((values["N"],) * values["C"], values["p"]).sample(seed)


def assignment(values: Mapping[str, Any], features: Features, *more: tuple[Any, Any]) -> dict[Any, Any]:
    """Values of the theory's symbols for extended features."""
    symbols = {C: values["C"], N: values["N"], p: values["p"], lam: values["lambda"]}
    return {**symbols, H: features.values.numpy(), Y: features.one_hot.numpy(), **dict(more)}


def random_classifier(values: Mapping[str, Any], seed: int) -> Any:
    """A Gaussian C x (p + 1) classifier."""
    import torch

    from ...numerics.shapes import generator

    shape = (values["C"], values["p"] + 1)
    return torch.randn(shape, generator=generator(seed + 1), dtype=torch.float64)


def rounding(condition: float = 1.0, scale: float = 1.0) -> float:
    """1000 eps times the condition number of the matrix that the formula inverts: the error of solving with it."""
    return 1e3 * 2.3e-16 * condition * max(scale, 1.0)


def simulate_total_covariance(values: Mapping[str, Any], seed: int) -> Comparison:
    from ...numerics import statistics

    features = draw(values, seed).extended()
    measured = statistics.total_covariance(features).numpy()
    theoretical = evaluate(Sigma_W + Sigma_B, assignment({**values, "lambda": 0}, features), COVARIANCES)
    return Comparison(
        measured.ravel().tolist(), theoretical.ravel().tolist(), rounding(scale=float(abs(measured).max()))
    )


def simulate_classifier(values: Mapping[str, Any], seed: int) -> Comparison:
    from ...numerics import losses

    features = draw(values, seed).extended()
    targets, decay = features.one_hot, values["lambda"]
    found = losses.least_squares_minimum(features.values, targets, decay)
    predicted = evaluate(W_LS, assignment(values, features), CLASSIFIER)
    least = losses.least_squares_loss(found.value.new_tensor(predicted), features.values, targets, decay)
    elsewhere = found.value + 0.1 * random_classifier(values, seed)
    others = [float(losses.least_squares_loss(elsewhere, features.values, targets, decay))]
    return Comparison(
        [float(found.stats.loss)],
        [float(least)],
        rounding(float(found.stats.condition) ** 2),
        others,
        found.converged,
    )


def simulate_decomposition(values: Mapping[str, Any], seed: int) -> Comparison:
    from ...numerics import losses

    features = draw(values, seed).extended()
    classifier = random_classifier(values, seed)
    measured = float(losses.least_squares_loss(classifier, features.values, features.one_hot, values["lambda"]))
    condition = losses.least_squares_minimum(features.values, features.one_hot, values["lambda"]).stats.condition
    here = assignment(values, features, (W, classifier.numpy()))
    theoretical = float(evaluate(L_LS + L_perp, here, DECOMPOSITION))
    return Comparison([measured], [theoretical], rounding(float(condition) ** 2, measured))


def simulate_split(values: Mapping[str, Any], seed: int) -> Comparison:
    from ...numerics import losses

    features = draw(values, seed).extended()
    found = losses.least_squares_minimum(features.values, features.one_hot, values["lambda"])
    theoretical = float(evaluate(L_NC1 + L_NC23, assignment(values, features), SPLIT))
    tolerance = rounding(float(found.stats.condition) ** 2)
    return Comparison([float(found.stats.loss)], [theoretical], tolerance, converged=found.converged)


def simulate_affine(values: Mapping[str, Any], seed: int) -> Comparison:
    """Both sides by numerical minimisation; Sigma_T is singular in some examples."""
    import torch

    from ...numerics import losses
    from ...numerics.shapes import generator

    features, source = draw(values, seed), generator(seed + 2)
    linear = torch.randn(values["p"], values["p"], generator=source, dtype=torch.float64)
    shift = torch.randn(values["p"], 1, generator=source, dtype=torch.float64)
    before, after = (
        losses.least_squares_minimum(f.extended().values, f.one_hot)
        for f in (features, features.transformed(linear, shift))
    )
    same_rank = bool(before.stats.rank == after.stats.rank)  # else the random A is singular to rounding
    tolerance = rounding(float(before.stats.condition + after.stats.condition))
    converged = before.converged and after.converged and same_rank
    return Comparison([float(after.stats.loss)], [float(before.stats.loss)], tolerance, converged=converged)


def simulate_central_path_loss(values: Mapping[str, Any], seed: int) -> Comparison:
    from ...numerics import losses, statistics

    features = draw(values, seed)
    found = losses.least_squares_minimum(features.extended().values, features.one_hot)
    w = statistics.snr_singular_values(features).numpy()[:, None]
    theoretical = float(evaluate(snr.loss, {C: values["C"], snr.values: w}))
    tolerance = rounding(float(found.stats.condition) ** 2)
    return Comparison([float(found.stats.loss)], [theoretical], tolerance, converged=found.converged)


# ---- affine invariance and the central path: plain features, no weight decay
change = least_squares.AffineChange(balanced(sp.MatrixSymbol("H", p, C * N)))
snr = signal_to_noise.signal_to_noise()
PLAIN = Domain((CLASSES, PER_CLASS, DIMENSION))
WHITENED = Domain((CLASSES, PER_CLASS, DIMENSION), (p >= C - 1, p <= C * (N - 1)))

weights, bias, linear, shift = change.symbols
features = change.data.features
changed_loss = sp.Symbol(r"\mathcal{L}(W, b; A H + v \mathbf{1}^\top)")
plain_loss = sp.Symbol(r"\mathcal{L}(W, b; H)")
j = sp.Symbol("j", integer=True)


def least_squares_error(inputs: Any) -> Any:
    targets = change.data.one_hot
    return frobenius_squared(weights * inputs + bias * ones_n.T - targets) / (2 * C * N)


PLAIN_LOSS = {plain_loss: least_squares_error(features)}
AFFINE = PLAIN_LOSS | {changed_loss: least_squares_error(linear * features + shift * ones_n.T)}
affine_setting = least_squares.affine_setting(
    change, PLAIN.ranges, (*change.data.hypotheses, least_squares.invertible_map(change)), AFFINE
)
W_best = sp.MatrixSymbol("W_{LS}", C, p)
b_best = sp.MatrixSymbol("b_{LS}", C, 1)
PATH = PLAIN_LOSS | {
    W_best: snr.right * DiagMatrix(snr.values) * snr.resolvent * snr.left.T * snr.root,
    b_best: ones_C / C - W_best * features * ones_n / (C * N),
}
path_setting = signal_to_noise.setting(snr, PLAIN.ranges, snr.hypotheses, PATH)


def predict_loss(values: Mapping[str, Any], digits: int | None) -> dict[str, Any]:
    from ...theory import first_integral

    w, classes = numbered("w", values), values["C"]
    if digits is not None:
        return {"loss": first_integral.certified_loss(w, classes, digits)}
    return {"loss": float(first_integral.loss([to_float("w", value) for value in w], classes))}


LOSS_PREDICTION = Prediction(
    (Input("C", CLASSES.range, CLASSES.says), Input("w", reals(0), "SNR singular values", many=True)), predict_loss
)

CLAIMS = (
    # Han 2022: the least-squares classifier, after Webb & Lowe 1990
    Claim(
        "han2022/ls-classifier",
        "The least-squares classifier minimises the loss for fixed features",
        Kind.OPTIMUM,
        Minimum(L, (W,), (W_LS,), L_LS, unique=True),
        setting(LOSS),
        WELL_POSED,
        lambda: least_squares.classifier(problem, setting(LOSS)),
        simulate_classifier,
        Verdict.PROVED,
        VERSION,
    ),
    # Han 2022: covariances of the extended features
    Claim(
        "han2022/total-covariance",
        "The total covariance is the sum of within-class and between-class covariance",
        Kind.IDENTITY,
        Equal(Sigma_T, Sigma_W + Sigma_B),
        covariance_setting,
        COVARIANCE_DOMAIN,
        lambda: least_squares.total_covariance(problem, covariance_setting),
        simulate_total_covariance,
        Verdict.PROVED,
        VERSION,
    ),
    # Han 2022: the decomposition around the central path
    Claim(
        "han2022/ls-decomposition",
        "The loss is the least-squares loss plus the distance to the least-squares classifier",
        Kind.IDENTITY,
        Equal(L, L_LS + L_perp),
        setting(DECOMPOSITION),
        WELL_POSED,
        lambda: least_squares.decomposition(problem, setting(DECOMPOSITION)),
        simulate_decomposition,
        Verdict.PROVED,
        VERSION,
    ),
    # Han 2022: the least-squares loss in its NC1 and NC2/3 parts
    Claim(
        "han2022/nc-decomposition",
        "The least-squares loss splits into an NC1 part and an NC2/3 part",
        Kind.IDENTITY,
        Equal(L_LS, L_NC1 + L_NC23),
        setting(SPLIT),
        WELL_POSED,
        lambda: least_squares.least_squares_split(problem, setting(SPLIT)),
        simulate_split,
        Verdict.PROVED,
        VERSION,
    ),
    # Han 2022: the least-squares loss without weight decay
    Claim(
        "han2022/affine-invariance",
        "Without weight decay the least-squares loss is invariant under invertible affine maps",
        Kind.INVARIANCE,
        EqualInfima(changed_loss, (weights, bias), plain_loss, (weights, bias)),
        affine_setting,
        PLAIN,
        lambda: least_squares.affine_invariance(change, affine_setting),
        simulate_affine,
        Verdict.PROVED,
        VERSION,
    ),
    # Han 2022: the least-squares loss in the singular values of the SNR matrix
    Claim(
        "han2022/central-path-loss",
        "The least-squares loss is a function of the SNR singular values alone",
        Kind.IDENTITY,
        Minimum(
            plain_loss,
            (weights, bias),
            (W_best, b_best),
            sp.Sum(1 / (C + snr.values[j, 0] ** 2), (j, 0, C - 2)) / 2,
        ),
        path_setting,
        WHITENED,
        lambda: signal_to_noise.loss_of_singular_values(snr, path_setting),
        simulate_central_path_loss,
        Verdict.PROVED,
        VERSION,
        predict=LOSS_PREDICTION,
    ),
)
