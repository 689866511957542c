"""Han, Papyan & Donoho 2022: the central path under MSE, in the order of the paper.

The paper's N is the number of samples **per class**; extended features (tilde) append a constant 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix

from ..theory import central_path, growth, least_squares, renormalised_flow
from ..theory.evaluation import evaluate
from ..theory.proof.statement import (
    AllOf,
    Decay,
    Equal,
    EqualInfima,
    Equalisation,
    FirstIntegral,
    GradientIs,
    Growth,
    Minimum,
)
from ..theory.statistics import balanced
from ..theory.symbols import C, N, frobenius_squared, integers, lam, ones, p, quadratic, reals
from .claim import Claim, Paper
from .domain import Domain, Parameter
from .evidence import Comparison, Kind, Verdict
from .prediction import Input, Prediction, to_float

if TYPE_CHECKING:
    from ..numerics.models import Features

BIBTEX = r"""@inproceedings{han2022,
  author        = {Han, X. Y. and Papyan, Vardan and Donoho, David L.},
  title         = {Neural Collapse Under {MSE} Loss: Proximity to and Dynamics on the Central Path},
  booktitle     = {International Conference on Learning Representations},
  year          = {2022},
  eprint        = {2106.02073v4},
  archiveprefix = {arXiv}
}
"""
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
    from ..numerics.models import FeatureModel

    return FeatureModel((values["N"],) * values["C"], values["p"]).sample(seed)


def assignment(values: Mapping[str, Any], features: Features, *more: tuple[Any, Any]) -> dict[Any, Any]:
    """Values of the theory's symbols for extended features."""
    symbols = {C: values["C"], N: values["N"], p: values["p"], lam: values["lambda"]}
    return {**symbols, H: features.values.numpy(), Y: features.one_hot.numpy(), **dict(more)}


def random_classifier(values: Mapping[str, Any], seed: int) -> Any:
    """A Gaussian C x (p + 1) classifier."""
    import torch

    from ..numerics.shapes import generator

    shape = (values["C"], values["p"] + 1)
    return torch.randn(shape, generator=generator(seed + 1), dtype=torch.float64)


def rounding(condition: float = 1.0, scale: float = 1.0) -> float:
    """1000 eps times the condition number of the matrix that the formula inverts: the error of solving with it."""
    return 1e3 * 2.3e-16 * condition * max(scale, 1.0)


def simulate_total_covariance(values: Mapping[str, Any], seed: int) -> Comparison:
    from ..numerics import statistics

    features = draw(values, seed).extended()
    measured = statistics.total_covariance(features).numpy()
    theoretical = evaluate(Sigma_W + Sigma_B, assignment({**values, "lambda": 0}, features), COVARIANCES)
    return Comparison(
        measured.ravel().tolist(), theoretical.ravel().tolist(), rounding(scale=float(abs(measured).max()))
    )


def simulate_classifier(values: Mapping[str, Any], seed: int) -> Comparison:
    from ..numerics import losses

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
    from ..numerics import losses

    features = draw(values, seed).extended()
    classifier = random_classifier(values, seed)
    measured = float(losses.least_squares_loss(classifier, features.values, features.one_hot, values["lambda"]))
    condition = losses.least_squares_minimum(features.values, features.one_hot, values["lambda"]).stats.condition
    here = assignment(values, features, (W, classifier.numpy()))
    theoretical = float(evaluate(L_LS + L_perp, here, DECOMPOSITION))
    return Comparison([measured], [theoretical], rounding(float(condition) ** 2, measured))


def simulate_split(values: Mapping[str, Any], seed: int) -> Comparison:
    from ..numerics import losses

    features = draw(values, seed).extended()
    found = losses.least_squares_minimum(features.values, features.one_hot, values["lambda"])
    theoretical = float(evaluate(L_NC1 + L_NC23, assignment(values, features), SPLIT))
    tolerance = rounding(float(found.stats.condition) ** 2)
    return Comparison([float(found.stats.loss)], [theoretical], tolerance, converged=found.converged)


def simulate_affine(values: Mapping[str, Any], seed: int) -> Comparison:
    """Both sides by numerical minimisation; Sigma_T is singular in some examples."""
    import torch

    from ..numerics import losses
    from ..numerics.shapes import generator

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
    from ..numerics import losses, statistics

    features = draw(values, seed)
    found = losses.least_squares_minimum(features.extended().values, features.one_hot)
    w = statistics.snr_singular_values(features).numpy()[:, None]
    theoretical = float(evaluate(snr.loss, {C: values["C"], snr.values: w}))
    tolerance = rounding(float(found.stats.condition) ** 2)
    return Comparison([float(found.stats.loss)], [theoretical], tolerance, converged=found.converged)


# ---- affine invariance and the central path: plain features, no weight decay
change = least_squares.AffineChange(balanced(sp.MatrixSymbol("H", p, C * N)))
snr = central_path.signal_to_noise()
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
path_setting = central_path.setting(snr, PLAIN.ranges, snr.hypotheses, PATH)


# ---- the flow on whitened features
epsilon = renormalised_flow.EPSILON
whitened = renormalised_flow.whitened()
X, G, D = whitened.state, whitened.velocity, whitened.direction
R_X, S, Proj = (
    sp.MatrixSymbol(*name) for name in (("R", p, C * N), ("S", p, p), (r"\operatorname{Proj}(G)", p, C * N))
)
Sigma_X, Sigma_D, Sigma_XD = (
    sp.MatrixSymbol(name, p, p) for name in (r"\Sigma_W(X)", r"\Sigma_W(D)", r"\Sigma_W(X + \epsilon D)")
)


def residuals_of(features: Any) -> Any:
    return features - features * Y_plain.T * Y_plain / N


def covariance_of(features: Any) -> Any:
    return residuals_of(features) * residuals_of(features).T / (C * N)


Y_plain = change.data.one_hot
TANGENT = {
    R_X: residuals_of(X),
    S: (G * R_X.T + R_X * G.T) / (2 * C * N),
    Proj: G - S * R_X,
    Sigma_X: covariance_of(X),
    Sigma_D: covariance_of(D),
    Sigma_XD: covariance_of(X + epsilon * D),
}
STEP = Parameter(epsilon, reals(0, open=True), "size of a step along D")
TANGENT_DOMAIN = Domain((CLASSES, PER_CLASS, DIMENSION, STEP), (p <= C * (N - 1),))
tangent_setting = renormalised_flow.tangent_setting(
    whitened, TANGENT_DOMAIN.ranges, (*whitened.data.hypotheses, whitened.white, whitened.tangent), TANGENT
)

flow = renormalised_flow.SingularValueFlow(snr)
diagonal = DiagMatrix(snr.values)
loss_X, least_X = sp.Symbol(r"\mathcal{L}(W, b; X)"), sp.Symbol(r"\mathcal{L}_{LS}(X)")
Sigma_TX, Mbar_X, mu_X = (
    sp.MatrixSymbol(*name) for name in ((r"\Sigma_T(X)", p, p), (r"\bar{M}(X)", p, C), (r"\mu(X)", p, 1))
)
X_w, gradient_X, gradient_w, projected = (
    sp.MatrixSymbol(name, p, C * N)
    for name in (
        "X(w)",
        r"\nabla \mathcal{L}_{LS}(X)",
        r"\nabla \mathcal{L}_{LS}(X(w))",
        r"\operatorname{Proj} \nabla \mathcal{L}_{LS}(X(w))",
    )
)
Sigma_TXw, Mbar_Xw, mu_Xw = (
    sp.MatrixSymbol(*name) for name in ((r"\Sigma_T(X(w))", p, p), (r"\bar{M}(X(w))", p, C), (r"\mu(X(w))", p, 1))
)
W_X, b_X = sp.MatrixSymbol("W_{LS}(X)", C, p), sp.MatrixSymbol("b_{LS}(X)", C, 1)
centred_labels = (Y_plain - ones_C * ones_n.T / C) / N
FLOW = {
    mu_X: X * ones_n / (C * N),
    Mbar_X: X * Y_plain.T / N - mu_X * ones_C.T,
    Sigma_TX: (X - mu_X * ones_n.T) * (X - mu_X * ones_n.T).T / (C * N),
    loss_X: frobenius_squared(weights * X + bias * ones_n.T - Y_plain) / (2 * C * N),
    least_X: (C - 1) / (2 * C) - sp.Trace(Mbar_X.T * Sigma_TX.inv() * Mbar_X) / (2 * C**2),
    W_X: Mbar_X.T * Sigma_TX.inv() / C,
    b_X: ones_C / C - W_X * mu_X,
    gradient_X: Sigma_TX.inv() * Mbar_X * Mbar_X.T * Sigma_TX.inv() * (X - mu_X * ones_n.T) / (C**3 * N)
    - Sigma_TX.inv() * Mbar_X * centred_labels / C**2,
    X_w: flow.residuals + snr.left * diagonal * snr.right.T * Y_plain + flow.mean * ones_n.T,
    mu_Xw: X_w * ones_n / (C * N),
    Mbar_Xw: X_w * Y_plain.T / N - mu_Xw * ones_C.T,
    Sigma_TXw: (X_w - mu_Xw * ones_n.T) * (X_w - mu_Xw * ones_n.T).T / (C * N),
    gradient_w: flow.gradient(X_w),
    projected: flow.projection(gradient_w),
}
FLOW_DOMAIN = Domain((CLASSES, PER_CLASS, DIMENSION), (p >= C - 1, p <= C * (N - 1)))
flow_setting = renormalised_flow.flow_setting(flow, FLOW_DOMAIN.ranges, FLOW)
LEAST_SQUARES = Minimum(loss_X, (weights, bias), (W_X, b_X), least_X)
VELOCITY = snr.left * diagonal * (C * sp.Identity(C - 1) + diagonal**2).inv() ** 2 * snr.right.T * Y_plain / N

# ---- the singular values in time
VALUE = Parameter(growth.w, reals(0, open=True), "a singular value of the SNR matrix")
MOTION_DOMAIN = Domain((CLASSES, PER_CLASS, VALUE))
motion = growth.central_path()
motion_setting = growth.setting(MOTION_DOMAIN.ranges)
w = growth.w
PHI = C**2 * N * sp.log(w) + C * N * w**2 + N * w**4 / 4
RATE = w / (N * (C + w**2) ** 2)
UNIQUE = ("Picard-Lindeloef theorem",)


# ---- what the closed forms give for numbers
def numbered(name: str, values: Mapping[str, Any]) -> Any:
    """The values of w or w0, of which there must be C - 1."""
    found, wanted = values[name], values["C"] - 1
    if len(found) != wanted:
        raise ValueError(f"{name}: expected C - 1 = {wanted} values, got {len(found)}")
    return found


def predict_closed_form(values: Mapping[str, Any], digits: int | None) -> dict[str, Any]:
    from ..theory import first_integral

    w0, t, sizes = numbered("w0", values), values["t"], (values["C"], values["N"])
    if digits is not None:
        return {"w": list(first_integral.certified_singular_values(w0, t, *sizes, digits))}
    solution = first_integral.singular_values([to_float("w0", start) for start in w0], to_float("t", t), *sizes)
    if not solution.converged:
        raise ArithmeticError(f"Newton's method did not converge in {solution.stats.steps} steps")
    return {"w": solution.value.tolist()}


def predict_central_path_loss(values: Mapping[str, Any], digits: int | None) -> dict[str, Any]:
    from ..theory import first_integral

    w, classes = numbered("w", values), values["C"]
    if digits is not None:
        return {"loss": first_integral.certified_loss(w, classes, digits)}
    return {"loss": float(first_integral.loss([to_float("w", value) for value in w], classes))}


CLASSES_IN = Input("C", CLASSES.range, CLASSES.says)
CLOSED_FORM_PREDICTION = Prediction(
    (
        CLASSES_IN,
        Input("N", PER_CLASS.range, PER_CLASS.says),
        Input("w0", reals(0, open=True), "SNR singular values at the start", many=True),
        Input("t", reals(0), "time since the start"),
    ),
    predict_closed_form,
)
CENTRAL_PATH_LOSS_PREDICTION = Prediction(
    (CLASSES_IN, Input("w", reals(0), "SNR singular values", many=True)), predict_central_path_loss
)


PAPER = Paper(
    "han2022",
    "Neural Collapse Under MSE Loss: Proximity to and Dynamics on the Central Path",
    BIBTEX,
    (
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
            lambda: central_path.loss_of_singular_values(snr, path_setting),
            simulate_central_path_loss,
            Verdict.PROVED,
            VERSION,
            predict=CENTRAL_PATH_LOSS_PREDICTION,
        ),
        # Han 2022: the renormalised flow
        Claim(
            "han2022/tangent-projection",
            "The orthogonal projection on the tangent space of whitened features is G - S R",
            Kind.IDENTITY,
            AllOf(
                (
                    Equal(
                        Sigma_XD,
                        Sigma_X + epsilon * (D * R_X.T + R_X * D.T) / (C * N) + epsilon**2 * Sigma_D,
                    ),
                    Equal((Proj * R_X.T + R_X * Proj.T) / (C * N), sp.ZeroMatrix(p, p)),
                    Equal(sp.Trace((G - Proj) * D.T), sp.S.Zero),
                )
            ),
            tangent_setting,
            TANGENT_DOMAIN,
            lambda: renormalised_flow.tangent_projection(whitened, tangent_setting),
            None,
            Verdict.PROVED,
            VERSION,
            notes="The first part shows the derivative of Sigma_W, whose kernel is the tangent space; D is tangent.",
        ),
        Claim(
            "han2022/snr-flow",
            "The renormalised gradient flow moves each SNR singular value alone and keeps the singular vectors",
            Kind.IDENTITY,
            AllOf((LEAST_SQUARES, GradientIs(least_X, X, gradient_X), Equal(-1 * projected, VELOCITY))),
            flow_setting,
            FLOW_DOMAIN,
            lambda: renormalised_flow.snr_flow(flow, flow_setting),
            None,
            Verdict.PROVED,
            VERSION,
            notes="At X(w) = R + U diag(w) V^T Y + mu 1^T the velocity is U diag(dw/dt) V^T Y with dw_j/dt = "
            "w_j / (N (C + w_j^2)^2): the curve X(w(t)) solves the flow, and by uniqueness it is the flow.",
            lemmas=UNIQUE,
        ),
        # Han 2022: the dynamics of the singular values
        Claim(
            "han2022/closed-form",
            "Each SNR singular value in closed form",
            Kind.IDENTITY,
            FirstIntegral(w, RATE, PHI),
            motion_setting,
            MOTION_DOMAIN,
            lambda: growth.closed_form(motion, motion_setting),
            None,
            Verdict.PROVED,
            VERSION,
            predict=CLOSED_FORM_PREDICTION,
        ),
        Claim(
            "han2022/growth",
            "Each SNR singular value grows strictly to infinity, like (4t/N)^(1/4)",
            Kind.LIMIT,
            Growth(w, RATE, PHI, N / 4, 4),
            motion_setting,
            MOTION_DOMAIN,
            lambda: growth.grows(motion, motion_setting),
            None,
            Verdict.PROVED,
            VERSION,
        ),
        Claim(
            "han2022/equalisation",
            "The ratio of any two SNR singular values decreases to 1",
            Kind.UPPER,
            Equalisation(w, RATE, PHI, N / 4, 4),
            motion_setting,
            MOTION_DOMAIN,
            lambda: growth.equalises(motion, motion_setting),
            None,
            Verdict.PROVED,
            VERSION,
            notes="With a rate: (w/v)^4 - 1 is at most 4 (Phi(w(0)) - Phi(v(0))) / (N v^4), which is of order 1/t.",
        ),
        Claim(
            "han2022/loss-decay",
            "The loss on the central path decays like ((C-1)/2) (N/(4t))^(1/2)",
            Kind.LIMIT,
            Decay(w, RATE, PHI, N / 4, 4, sp.Rational(1, 2) / (C + w**2), 2, sp.Rational(1, 2), C - 1),
            motion_setting,
            MOTION_DOMAIN,
            lambda: growth.loss_decays(motion, motion_setting),
            None,
            Verdict.PROVED,
            VERSION,
        ),
    ),
)
