"""The SNR singular values of han2022 in time: closed form, growth, equalisation, decay of the loss, neural collapse."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix

from ...theory import collapse, growth
from ...theory.evaluation import evaluate
from ...theory.proof.statement import AllOf, Decay, Equal, Equalisation, FirstIntegral, Growth
from ...theory.symbols import C, N, frobenius_squared, ones, p, reals
from ..claim import Claim
from ..domain import Domain, Parameter
from ..evidence import Comparison, Kind, Verdict
from ..prediction import Input, Prediction, numbered, to_float
from .least_squares import CLASSES, DIMENSION, PER_CLASS, VERSION, snr
from .renormalised_flow import FLOW, Mbar_Xw, Sigma_TXw, X_w, covariance_of, flow, mu_Xw

if TYPE_CHECKING:
    from torch import Tensor

    from ...numerics.integrators import TimeGrid
    from ...numerics.models import Features

VALUE = Parameter(growth.w, reals(0, open=True), "a singular value of the SNR matrix")
MOTION_DOMAIN = Domain((CLASSES, PER_CLASS, VALUE))
motion = growth.central_path()
motion_setting = growth.setting(MOTION_DOMAIN.ranges)
w = growth.w
PHI = C**2 * N * sp.log(w) + C * N * w**2 + N * w**4 / 4
RATE = w / (N * (C + w**2) ** 2)


# ---- collapse
COLLAPSE_DOMAIN = Domain((CLASSES, PER_CLASS, DIMENSION, VALUE), (p >= C - 1, p <= C * (N - 1)))
Sigma_WXw, Sigma_BXw = (sp.MatrixSymbol(name, p, p) for name in (r"\Sigma_W(X(w))", r"\Sigma_B(X(w))"))
W_Xw = sp.MatrixSymbol("W_{LS}(X(w))", C, p)
COLLAPSE = {name: FLOW[name] for name in (X_w, mu_Xw, Mbar_Xw, Sigma_TXw)} | {
    Sigma_WXw: covariance_of(X_w),
    Sigma_BXw: Mbar_Xw * Mbar_Xw.T / C,
    W_Xw: Mbar_Xw.T * Sigma_TXw.inv() / C,
}
collapse_setting = collapse.setting(flow, COLLAPSE_DOMAIN.ranges, COLLAPSE)
diagonal = DiagMatrix(snr.values)
spread, inverse = snr.left * diagonal**2 * snr.left.T / C, collapse.pseudo_inverse(flow)
best_weights = snr.right * diagonal * snr.resolvent * snr.left.T
COLLAPSE_STATEMENT = AllOf(
    (
        Equal(Sigma_WXw, sp.Identity(p)),
        Equal(Sigma_BXw, spread),
        *collapse.penrose(spread, inverse),
        Equal(sp.Trace(inverse) / C, sp.Trace(diagonal.inv() * diagonal.inv())),
        Equal(Mbar_Xw, flow.means),
        Equal(flow.means.T * flow.means, snr.right * diagonal**2 * snr.right.T),
        Equal(frobenius_squared(flow.means), sp.Trace(diagonal**2)),
        Equal(snr.right * snr.right.T, sp.Identity(C) - ones(C) * ones(C).T / C),
        Equal(W_Xw, best_weights),
        Equal(frobenius_squared(best_weights), sp.Trace(diagonal**2 * snr.resolvent * snr.resolvent)),
        *collapse.limits(motion),
    )
)


# ---- simulation: class means under the flow, the first singular value of which starts at the drawn one
STEPS_PER_DECADE = 20
RESOLVED = 1e-6  # relative change when all steps are halved; RK4 gains a factor of 16
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Path:
    """Class means along the flow at times (T), with their SNR singular values (T, C - 1), largest first."""

    start: Features
    times: Any
    means: Tensor
    values: Any
    converged: bool

    def features(self, index: int) -> Features:
        from ...numerics import flow as flows

        return flows.with_class_means(self.start, self.means[index])


def drawn_values(values: Mapping[str, Any], seed: int) -> list[float]:
    """C - 1 singular values: the drawn one, and others over the same four decades."""
    rng = random.Random(seed)
    return [values["w"], *(VALUE.draw(rng) for _ in range(values["C"] - 2))]


def simulated_path(values: Mapping[str, Any], seed: int, end: float, dimension: int | None = None) -> Path:
    """RK4 on class means to ``end``, with all steps halved for comparison.

    A value w << 1 grows by e in a time C^2 N: steps are uniform until the smallest has passed 1, then geometric.
    """
    import torch

    from ...numerics import flow as flows
    from ...numerics import statistics
    from ...numerics.integrators import geometric_grid, uniform_grid
    from ...numerics.linalg import singular_values

    classes, per_class = values["C"], values["N"]
    drawn, natural = drawn_values(values, seed), classes**2 * per_class
    start = flows.whitened_features(drawn, per_class, dimension or classes - 1, seed)
    grown, first = natural * (2 + max(0.0, -math.log(min(drawn)))), natural / 20
    early = uniform_grid(grown, math.ceil(grown / first))
    late = geometric_grid(end, max(40, round(STEPS_PER_DECADE * math.log10(end / first))), first, grown)
    means = statistics.class_means(start)

    def run(*grids: TimeGrid) -> tuple[Any, Tensor, bool]:
        before = flows.class_mean_flow(means, start.class_counts, grids[0])
        factor = grids[1].steps // late.steps
        after = flows.class_mean_flow(before.value.states[-1], start.class_counts, grids[1], record=factor)
        times = torch.cat([before.value.times[:1], after.value.times])
        states = torch.cat([before.value.states[:1], after.value.states])
        return times, states, before.converged and after.converged

    def spectrum(states: Tensor) -> Any:
        return singular_values(states - states.mean(dim=-1, keepdim=True))[..., : classes - 1].numpy()

    (_, coarse, coarsely), (times, states, finely) = run(early, late), run(early.refined(), late.refined())
    found = spectrum(states)
    change = abs(spectrum(coarse) / found - 1).max()
    return Path(start, times.numpy(), states, found, coarsely and finely and bool(change <= RESOLVED))


def integral_at(at: Any, classes: int, per_class: int) -> Any:
    """Phi at an array of singular values."""
    return evaluate(PHI, {C: classes, N: per_class, w: at})


def long_time(values: Mapping[str, Any], seed: int) -> float:
    """A time from which errors of the leading order only fall: t is large beside Phi(w(0))^2 and C^2 N."""
    natural = values["C"] ** 2 * values["N"]
    largest = max(abs(integral_at(drawn_values(values, seed), values["C"], values["N"])))
    return float(1e5 * (largest**2 / natural + natural))


def simulate_closed_form(values: Mapping[str, Any], seed: int) -> Comparison:
    """Singular values, simulated, beside the solutions of the closed form at the same times."""
    from ...theory import first_integral

    path = simulated_path(values, seed, 100.0 * values["C"] ** 2 * values["N"])
    start = sorted(drawn_values(values, seed), reverse=True)
    solution = first_integral.singular_values(start, path.times[1:, None], values["C"], values["N"])
    measured, converged = path.values[1:] / solution.value, path.converged and solution.converged
    return Comparison(measured.ravel().tolist(), [1.0] * measured.size, TOLERANCE, converged=converged)


def last_decades(path: Path) -> list[int]:
    """Indices of three times, each a decade after the one before; the last is the end."""
    return [len(path.times) - 1 - k * STEPS_PER_DECADE for k in (2, 1, 0)]


def farthest(path: Path, scaled: Callable[[float, Any], Any], limit: float) -> list[float]:
    """``scaled(t, w)`` over the last two decades, of the singular value for which it is farthest from its limit."""
    found = [scaled(path.times[k], path.values[k]) for k in last_decades(path)]
    worst = abs(found[-1] - limit).argmax()
    return [float(each[worst]) for each in found]


def simulate_growth(values: Mapping[str, Any], seed: int) -> Comparison:
    """(N/4) w^4 / t over the last two decades, of the singular value that is farthest from 1 at the end."""
    path = simulated_path(values, seed, long_time(values, seed))
    measured = farthest(path, lambda t, w: values["N"] / 4 * w**4 / t, 1.0)
    increasing = bool((path.values[1:] > path.values[:-1]).all())
    return Comparison(measured if increasing else [math.nan] * 3, [1.0] * 3, 1e-2, converged=path.converged)


def simulate_next_order(values: Mapping[str, Any], seed: int) -> Comparison:
    """(w^2 - 2 (t/N)^(1/2)) / (2 C) over the last two decades, of the value that is farthest from -1 at the end."""
    path = simulated_path(values, seed, long_time(values, seed))
    measured = farthest(path, lambda t, w: (w**2 - 2 * (t / values["N"]) ** 0.5) / (2 * values["C"]), -1.0)
    return Comparison(measured, [-1.0] * 3, 2e-2, converged=path.converged)


def simulate_equalisation(values: Mapping[str, Any], seed: int) -> Comparison:
    """(w/v)^4 beside its bound, and the ratio beside that at the time before, for the largest and the smallest."""
    path = simulated_path(values, seed, 1e4 * values["C"] ** 2 * values["N"])
    largest, smallest = path.values[:, 0], path.values[:, -1]
    ratio = largest / smallest
    head, tail = (integral_at(x, values["C"], values["N"]) for x in (largest[0], smallest[0]))
    bound = 1 + (head - tail) / (values["N"] / 4 * smallest**4)
    measured, above = [*(ratio**4 / bound), *(ratio[1:] / ratio[:-1])], 2 * len(ratio) - 1
    return Comparison([float(x) for x in measured], [1.0] * above, TOLERANCE, converged=path.converged)


def simulate_loss_decay(values: Mapping[str, Any], seed: int) -> Comparison:
    """The least-squares loss, minimised numerically, over its asymptote, over the last two decades."""
    from ...numerics import losses

    path = simulated_path(values, seed, long_time(values, seed))
    measured: list[float] = []
    converged = path.converged
    for k in last_decades(path):
        features = path.features(k)
        found = losses.least_squares_minimum(features.extended().values, features.one_hot)
        asymptote = (values["C"] - 1) / 2 * (values["N"] / (4 * path.times[k])) ** 0.5
        measured.append(float(found.stats.loss) / float(asymptote))
        converged = converged and found.converged
    return Comparison(measured, [1.0] * 3, 1e-2, converged=converged)


def simulate_collapse(values: Mapping[str, Any], seed: int) -> Comparison:
    """The largest distance over the last two decades: of NC1 over its asymptote from 1, of NC2, NC3 and NC4 from 0."""
    from ...numerics import losses, statistics

    path = simulated_path(values, seed, long_time(values, seed), values["p"])
    measured: list[float] = []
    converged = path.converged
    for k in last_decades(path):
        features = path.features(k)
        least = losses.least_squares_minimum(features.extended().values, features.one_hot)
        weights, offset = least.value[..., :-1], least.value[..., -1:]
        asymptote = (values["C"] - 1) * (values["N"] / (4 * path.times[k])) ** 0.5
        distances = (
            abs(float(statistics.nc1_pinv(features)) / float(asymptote) - 1),
            float(statistics.nc2_etf_distance(features)),
            float(statistics.nc3_alignment(weights, features)),
            1 - float(statistics.nc4_agreement(weights, features, offset)),
        )
        measured.append(max(distances))
        converged = converged and least.converged
    return Comparison(measured, [0.0] * 3, 1e-2, converged=converged)


# ---- what the closed form gives for numbers
def predict_closed_form(values: Mapping[str, Any], digits: int | None) -> dict[str, Any]:
    from ...theory import first_integral

    w0, t, sizes = numbered("w0", values), values["t"], (values["C"], values["N"])
    if digits is not None:
        return {"w": list(first_integral.certified_singular_values(w0, t, *sizes, digits))}
    solution = first_integral.singular_values([to_float("w0", start) for start in w0], to_float("t", t), *sizes)
    if not solution.converged:
        raise ArithmeticError(f"Newton's method did not converge in {solution.stats.steps} steps")
    return {"w": solution.value.tolist()}


CLOSED_FORM_PREDICTION = Prediction(
    (
        Input("C", CLASSES.range, CLASSES.says),
        Input("N", PER_CLASS.range, PER_CLASS.says),
        Input("w0", reals(0, open=True), "SNR singular values at the start", many=True),
        Input("t", reals(0), "time since the start"),
    ),
    predict_closed_form,
)


CLAIMS = (
    # Han 2022: the dynamics of the singular values
    Claim(
        "han2022/closed-form",
        "Each SNR singular value in closed form",
        Kind.IDENTITY,
        FirstIntegral(w, RATE, PHI),
        motion_setting,
        MOTION_DOMAIN,
        lambda: growth.closed_form(motion, motion_setting),
        simulate_closed_form,
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
        simulate_growth,
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
        simulate_equalisation,
        Verdict.PROVED,
        VERSION,
        notes="With a rate: (w/v)^4 - 1 is at most 4 (Phi(w(0)) - Phi(v(0))) / (N v^4), which is of order 1/t.",
    ),
    Claim(
        "han2022/collapse-limit",
        "Hence neural collapse: NC1 decays, the class means tend to a simplex ETF, the classifier to the class means",
        Kind.LIMIT,
        COLLAPSE_STATEMENT,
        collapse_setting,
        COLLAPSE_DOMAIN,
        lambda: collapse.collapse(flow, motion, collapse_setting),
        simulate_collapse,
        Verdict.SUPPORTED,
        VERSION,
        notes="At whitened features with SNR singular values w. C U diag(w)^(-2) U^T is the pseudo-inverse of "
        "Sigma_B, and NC1 is the sum of 1/w_j^2. The normalised Gram matrix of the class means is V diag(a) V^T, the "
        "normalised classifier V diag(b)^(1/2) U^T, the normalised class means V diag(a)^(1/2) U^T, with a_j the share "
        "of w_j^2 in the sum of all, b_j that of (w_j/(C + w_j^2))^2. All shares tend to 1/(C - 1), as fast as the "
        "ratios tend to 1.",
        beyond="NC4 (least-squares decisions agree with the nearest class mean), which is simulated",
    ),
    Claim(
        "han2022/loss-decay",
        "The loss on the central path decays like ((C-1)/2) (N/(4t))^(1/2)",
        Kind.LIMIT,
        Decay(w, RATE, PHI, N / 4, 4, sp.Rational(1, 2) / (C + w**2), 2, sp.Rational(1, 2), C - 1),
        motion_setting,
        MOTION_DOMAIN,
        lambda: growth.loss_decays(motion, motion_setting),
        simulate_loss_decay,
        Verdict.PROVED,
        VERSION,
    ),
)
