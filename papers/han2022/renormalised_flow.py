"""The renormalised gradient flow of han2022: the projection on the tangent space, and the flow of the SNR matrix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix

from ...theory import renormalised_flow, tangent_projection
from ...theory.evaluation import evaluate
from ...theory.proof.statement import AllOf, Equal, GradientIs, Minimum
from ...theory.symbols import C, N, frobenius_squared, p, reals
from ..claim import Claim
from ..domain import Domain, Parameter
from ..evidence import Comparison, Kind, Verdict
from .least_squares import (
    CLASSES,
    DIMENSION,
    PER_CLASS,
    VERSION,
    bias,
    change,
    ones_C,
    ones_n,
    rounding,
    snr,
    weights,
)

if TYPE_CHECKING:
    from ...numerics.models import Features

epsilon = tangent_projection.EPSILON
whitened = tangent_projection.whitened()
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
EXPANSION = Sigma_X + epsilon * (D * R_X.T + R_X * D.T) / (C * N) + epsilon**2 * Sigma_D
UNIQUE = ("Picard-Lindeloef theorem",)
STEP = Parameter(epsilon, reals(0, open=True), "size of a step along D")
TANGENT_DOMAIN = Domain((CLASSES, PER_CLASS, DIMENSION, STEP), (p <= C * (N - 1),))
tangent_setting = tangent_projection.tangent_setting(
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


def gradient_in(Sigma_T: Any, Mbar: Any, deviations: Any) -> Any:
    """The gradient of L_LS, in total covariance, centred class means, and deviations from the global mean."""
    along = Sigma_T.inv() * Mbar * Mbar.T * Sigma_T.inv() * deviations / (C**3 * N)
    return along - Sigma_T.inv() * Mbar * flow.labels / C**2


FLOW = {
    mu_X: X * ones_n / (C * N),
    Mbar_X: X * Y_plain.T / N - mu_X * ones_C.T,
    Sigma_TX: (X - mu_X * ones_n.T) * (X - mu_X * ones_n.T).T / (C * N),
    loss_X: frobenius_squared(weights * X + bias * ones_n.T - Y_plain) / (2 * C * N),
    least_X: (C - 1) / (2 * C) - sp.Trace(Mbar_X.T * Sigma_TX.inv() * Mbar_X) / (2 * C**2),
    W_X: Mbar_X.T * Sigma_TX.inv() / C,
    b_X: ones_C / C - W_X * mu_X,
    gradient_X: gradient_in(Sigma_TX, Mbar_X, X - mu_X * ones_n.T),
    X_w: flow.residuals + snr.left * diagonal * snr.right.T * Y_plain + flow.mean * ones_n.T,
    mu_Xw: X_w * ones_n / (C * N),
    Mbar_Xw: X_w * Y_plain.T / N - mu_Xw * ones_C.T,
    Sigma_TXw: (X_w - mu_Xw * ones_n.T) * (X_w - mu_Xw * ones_n.T).T / (C * N),
    gradient_w: gradient_in(Sigma_TXw, Mbar_Xw, X_w - mu_Xw * ones_n.T),
    projected: flow.projection(gradient_w),
}
FLOW_DOMAIN = Domain((CLASSES, PER_CLASS, DIMENSION), (p >= C - 1, p <= C * (N - 1)))
flow_setting = renormalised_flow.flow_setting(flow, FLOW_DOMAIN.ranges, FLOW)
LEAST_SQUARES = Minimum(loss_X, (weights, bias), (W_X, b_X), least_X)
RATES = diagonal * snr.resolvent**2 / N
VELOCITY = snr.left * diagonal * (C * sp.Identity(C - 1) + diagonal**2).inv() ** 2 * snr.right.T * Y_plain / N


# ---- simulation
RESOLVED = 1e-7  # relative change when all steps are halved; RK4 gains a factor of 16, so its error is far smaller
TOLERANCE = 1e-6


def simulate_projection(values: Mapping[str, Any], seed: int) -> Comparison:
    """Proj of a random matrix, and Sigma_W one step along a random tangent direction."""
    import torch

    from ...numerics import flow as flows
    from ...numerics import statistics
    from ...numerics.models import FeatureModel, Features
    from ...numerics.shapes import generator

    start = flows.renormalised(FeatureModel((values["N"],) * values["C"], values["p"]).sample(seed))
    source = generator(seed + 1)
    any_velocity, other = torch.randn(2, *start.values.shape, generator=source, dtype=torch.float64)
    direction = flows.tangent_projection(other, start)
    projected = flows.tangent_projection(any_velocity, start)
    step = values["epsilon"]
    moved = statistics.within_covariance(Features(start.values + step * direction, start.class_counts))
    normal = ((any_velocity - projected) * direction).sum()
    here = {
        C: values["C"],
        N: values["N"],
        p: values["p"],
        epsilon: step,
        X: start.values.numpy(),
        Y_plain: start.one_hot.numpy(),
        G: any_velocity.numpy(),
        D: direction.numpy(),
    }
    expansion, part = evaluate(EXPANSION, here, TANGENT), evaluate(Proj, here, TANGENT)
    measured = [*projected.flatten().tolist(), *moved.flatten().tolist(), float(normal)]
    theoretical = [*part.ravel().tolist(), *expansion.ravel().tolist(), 0.0]
    return Comparison(measured, theoretical, rounding(scale=float(moved.abs().max()) * start.values.numel()))


def random_start(values: Mapping[str, Any], seed: int) -> Features:
    """Whitened features with SNR singular values between a third and three."""
    import numpy as np

    from ...numerics import flow as flows

    spread = np.random.default_rng(seed).uniform(-1, 1, values["C"] - 1)
    return flows.whitened_features((3**spread).tolist(), values["N"], values["p"], seed)


def solved(rates: Any, start: Any, values: Mapping[str, Any], end: float) -> Any:
    """Singular values at the end, by scipy, that start from given ones and move by the diagonal of ``rates``."""
    import numpy as np
    from scipy.integrate import solve_ivp

    def rate(time: float, w: Any) -> Any:
        here = {C: values["C"], N: values["N"], snr.values: np.asarray(w)[:, None]}
        return np.diag(evaluate(rates, here))

    return solve_ivp(rate, (0.0, end), start, method="DOP853", rtol=1e-12, atol=1e-14).y[:, -1]


def simulate_flow(values: Mapping[str, Any], seed: int) -> Comparison:
    """Loss, gradient and velocity at a random start; then features and singular values after some time.

    The theory's equation for the singular values is solved by scipy, that of the features by RK4 in feature space.
    """
    import numpy as np

    from ...numerics import flow as flows
    from ...numerics import losses, statistics
    from ...numerics.integrators import uniform_grid

    start = random_start(values, seed)
    classes, per_class, one_hot = values["C"], values["N"], start.one_hot.numpy()
    state, sizes = start.values.numpy(), {C: classes, N: per_class, p: values["p"]}
    here = {**sizes, X: state, Y_plain: one_hot}
    found = losses.least_squares_minimum(start.extended().values, start.one_hot)
    gradient = flows.feature_gradient(start)
    velocity = -flows.tangent_projection(gradient, start)

    mean = state.mean(axis=1, keepdims=True)
    centred = statistics.class_means(start).numpy() - mean
    left, values_now, right = np.linalg.svd(centred, full_matrices=False)
    left, values_now, right = left[:, : classes - 1], values_now[: classes - 1], right[: classes - 1].T
    at_values = {**sizes, Y_plain: one_hot, snr.left: left, snr.right: right, snr.values: values_now[:, None]}
    end = classes**2 * per_class / 2

    later = solved(RATES, values_now, values, end)
    expected = state + left * (later - values_now) @ right.T @ one_hot
    coarse, fine = (
        flows.central_path_flow(start, grid).value.states[-1].numpy()
        for grid in (uniform_grid(end, 20), uniform_grid(end, 40))
    )
    scale = float(np.abs(state).max()) * max(1.0, float(values_now.max()))
    measured = [float(found.stats.loss), *gradient.flatten().tolist(), *velocity.flatten().tolist(), *fine.ravel()]
    theoretical = [
        float(evaluate(least_X, here, FLOW)),
        *evaluate(gradient_X, here, FLOW).ravel().tolist(),
        *evaluate(VELOCITY, at_values).ravel().tolist(),
        *expected.ravel().tolist(),
    ]
    resolved = float(np.abs(fine - coarse).max()) <= RESOLVED * scale
    return Comparison(measured, theoretical, TOLERANCE * scale, converged=found.converged and resolved)


CLAIMS = (
    # Han 2022: the renormalised flow
    Claim(
        "han2022/tangent-projection",
        "The orthogonal projection on the tangent space of whitened features is G - S R",
        Kind.IDENTITY,
        AllOf(
            (
                Equal(Sigma_XD, EXPANSION),
                Equal((Proj * R_X.T + R_X * Proj.T) / (C * N), sp.ZeroMatrix(p, p)),
                Equal(sp.Trace((G - Proj) * D.T), sp.S.Zero),
            )
        ),
        tangent_setting,
        TANGENT_DOMAIN,
        lambda: tangent_projection.tangent_projection(whitened, tangent_setting),
        simulate_projection,
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
        simulate_flow,
        Verdict.PROVED,
        VERSION,
        notes="At X(w) = R + U diag(w) V^T Y + mu 1^T the velocity is U diag(dw/dt) V^T Y with dw_j/dt = "
        "w_j / (N (C + w_j^2)^2): the curve X(w(t)) solves the flow, and by uniqueness it is the flow.",
        lemmas=UNIQUE,
    ),
)
