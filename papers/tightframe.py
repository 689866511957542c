"""Claims of our own: generalisations and corrections of what the papers say. Citing one cites this software."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix

from ..theory import growth, least_squares, renormalised_flow
from ..theory.evaluation import evaluate
from ..theory.proof.statement import AllOf, Equal, GradientIs
from ..theory.symbols import C, N, frobenius_squared, integers, lam, n, ones, p, quadratic, reals
from ..theory.tangent_projection import EPSILON
from .claim import Claim, Paper
from .dang2023.cross_entropy import LOWER_RANK
from .domain import Domain, Parameter
from .evidence import Comparison, Kind, Verdict
from .garrod2025.depth import EXACT_RANK
from .garrod2025.landscape import DNC_SPECTRUM, SOLUTION_DIMENSION
from .garrod2025.losses import ODD_PAIRS
from .garrod2025.low_rank import ONE_LAYER, THREE_CLASSES, TWO_CLASSES
from .garrod2025.relu import EXACT as RELU_PAIRS
from .general_target import CLAIM as GENERAL_TARGET
from .han2022.growth import MOTION_DOMAIN, motion, motion_setting, simulate_next_order
from .han2022.least_squares import random_classifier, rounding, snr
from .han2022.renormalised_flow import FLOW, FLOW_DOMAIN, X, flow, gradient_w, gradient_X, least_X, random_start, solved

if TYPE_CHECKING:
    from ..numerics.models import Features

BIBTEX = r"""@misc{tightframe,
  author = {{The tightframe developers}},
  title  = {tightframe: machine-checked theory of neural collapse},
  year   = {2026}
}
"""

# ---- least squares for classes of any sizes, written as in han2022
problem = least_squares.extended(equal_sizes=False)
data = problem.data
d = problem.dimension
W, H, Y, Delta = problem.classifier, data.features, data.one_hot, data.sizes
M = sp.MatrixSymbol(r"\tilde{M}", d, C)
mu = sp.MatrixSymbol(r"\tilde{\mu}_G", d, 1)
Sigma_W = sp.MatrixSymbol(r"\tilde{\Sigma}_W", d, d)
Sigma_B = sp.MatrixSymbol(r"\tilde{\Sigma}_B", d, d)
Sigma_T = sp.MatrixSymbol(r"\tilde{\Sigma}_T", d, d)
L, L_NC1, L_NC23 = (
    sp.Symbol(name)
    for name in (
        r"\mathcal{L}(\tilde{W},\tilde{H})",
        r"\mathcal{L}_{NC1}(\tilde{W},\tilde{H})",
        r"\mathcal{L}_{NC2/3}(\tilde{W},\tilde{H})",
    )
)

COVARIANCES = {
    M: H * Y.T * Delta.inv(),
    mu: H * ones(n) / n,
    Sigma_W: (H - M * Y) * (H - M * Y).T / n,
    Sigma_B: (M - mu * ones(C).T) * Delta * (M - mu * ones(C).T).T / n,
    Sigma_T: (H - mu * ones(n).T) * (H - mu * ones(n).T).T / n,
}
SPLIT = COVARIANCES | {
    L: frobenius_squared(W * H - Y) / (2 * n) + lam * frobenius_squared(W) / 2,
    L_NC1: quadratic(W, Sigma_W + lam * sp.Identity(d)) / 2,
    L_NC23: quadratic(W * M - sp.Identity(C), Delta) / (2 * n),
}

CLASSES = Parameter(C, integers(2), "number of classes")
SAMPLES = Parameter(n, integers(2), "samples in all", sampled_to=30)
DIMENSION = Parameter(p, integers(1), "dimension of the features")
DECAY = Parameter(lam, reals(0), "weight decay")
COVARIANCE_DOMAIN = Domain((CLASSES, SAMPLES, DIMENSION), (n >= C,))
DOMAIN = Domain((CLASSES, SAMPLES, DIMENSION, DECAY), (n >= C,))

covariance_setting = least_squares.setting(problem, COVARIANCE_DOMAIN.ranges, data.hypotheses, COVARIANCES)
split_setting = least_squares.setting(problem, DOMAIN.ranges, data.hypotheses, SPLIT)


def draw(values: Mapping[str, Any], seed: int) -> Features:
    """Gaussian features of C classes of random sizes, n samples in all."""
    import random

    from ..numerics.models import FeatureModel

    cuts = sorted(random.Random(seed).sample(range(1, values["n"]), values["C"] - 1))
    counts = tuple(b - a for a, b in zip((0, *cuts), (*cuts, values["n"]), strict=True))
    return FeatureModel(counts, values["p"]).sample(seed).extended()


def assignment(values: Mapping[str, Any], features: Features) -> dict[Any, Any]:
    import numpy as np

    symbols = {C: values["C"], n: values["n"], p: values["p"], Delta: np.diag(features.class_counts).astype(float)}
    return {**symbols, H: features.values.numpy(), Y: features.one_hot.numpy()}


def simulate_total_covariance(values: Mapping[str, Any], seed: int) -> Comparison:
    from ..numerics import statistics

    features = draw(values, seed)
    measured = statistics.total_covariance(features).numpy()
    theoretical = evaluate(Sigma_W + Sigma_B, assignment(values, features), COVARIANCES)
    return Comparison(
        measured.ravel().tolist(), theoretical.ravel().tolist(), rounding(scale=float(abs(measured).max()))
    )


def simulate_split(values: Mapping[str, Any], seed: int) -> Comparison:
    from ..numerics import losses

    features = draw(values, seed)
    classifier = random_classifier(values, seed)
    measured = float(losses.least_squares_loss(classifier, features.values, features.one_hot, values["lambda"]))
    here = {**assignment(values, features), lam: values["lambda"], W: classifier.numpy()}
    return Comparison([measured], [float(evaluate(L_NC1 + L_NC23, here, SPLIT))], rounding(scale=measured))


# ---- renormalising after an unprojected step: another flow than that of han2022
STEP = Parameter(EPSILON, reals(0, open=True), "size of a step")
UNPROJECTED_DOMAIN = Domain((*FLOW_DOMAIN.parameters, STEP), FLOW_DOMAIN.conditions)
unprojected_setting = renormalised_flow.flow_setting(flow, UNPROJECTED_DOMAIN.ranges, FLOW)
UNPROJECTED_FLOW = AllOf(
    (
        GradientIs(least_X, X, gradient_X),
        renormalised_flow.inverse_root(),
        renormalised_flow.unprojected_motion(
            flow, renormalised_flow.snr_velocity(flow, gradient_w, flow.turned(gradient_w))
        ),
    )
)
UNPROJECTED_RATES = DiagMatrix(snr.values) * snr.resolvent / (C * N)
STEPS = 200  # of the coarsest of three grids, each of which halves the steps of the one before


def simulate_unprojected(values: Mapping[str, Any], seed: int) -> Comparison:
    """Largest relative deviation of the singular values from their equation, solved by scipy, as the steps shrink."""
    from ..numerics import flow as flows
    from ..numerics import statistics
    from ..numerics.integrators import uniform_grid
    from ..numerics.models import Features

    start, end = random_start(values, seed), values["C"] ** 2 * values["N"] / 2
    wanted = solved(UNPROJECTED_RATES, statistics.snr_singular_values(start).numpy(), values, end)
    deviations = []
    for steps in (STEPS, 2 * STEPS, 4 * STEPS):
        last = flows.unprojected_flow(start, uniform_grid(end, steps)).value.states[-1]
        found = statistics.snr_singular_values(Features(last, start.class_counts)).numpy()
        deviations.append(float(abs(found / wanted - 1).max()))
    return Comparison(deviations, [0.0] * 3, 1e-3)


PAPER = Paper(
    "tightframe",
    "tightframe: machine-checked theory of neural collapse",
    BIBTEX,
    (
        Claim(
            "tightframe/total-covariance",
            "The total covariance splits for classes of any sizes",
            Kind.IDENTITY,
            Equal(Sigma_T, Sigma_W + Sigma_B),
            covariance_setting,
            COVARIANCE_DOMAIN,
            lambda: least_squares.total_covariance(problem, covariance_setting),
            simulate_total_covariance,
            Verdict.PROVED,
            sharpens="han2022/total-covariance",
            notes="The between-class covariance weights each class by its share of the samples.",
        ),
        Claim(
            "tightframe/class-mean-split",
            "The loss splits into an NC1 and an NC2/3 part at every classifier, for classes of any sizes",
            Kind.IDENTITY,
            Equal(L, L_NC1 + L_NC23),
            split_setting,
            DOMAIN,
            lambda: least_squares.class_mean_split(problem, split_setting),
            simulate_split,
            Verdict.PROVED,
            sharpens="han2022/nc-decomposition",
            notes="han2022 states it at the least-squares classifier of balanced classes; nothing about W is needed.",
        ),
        Claim(
            "tightframe/unprojected-flow",
            "Renormalising after unprojected steps is another flow: dw_j/dt = w_j / (C N (C + w_j^2))",
            Kind.LIMIT,
            UNPROJECTED_FLOW,
            unprojected_setting,
            UNPROJECTED_DOMAIN,
            lambda: renormalised_flow.unprojected_flow(flow, unprojected_setting),
            simulate_unprojected,
            Verdict.PROVED,
            notes="The step X - h grad L_LS(X) changes Sigma_W by h Q; whitening undoes it by Sigma_W^(-1/2), with "
            "derivative -Q/2 at I, and so moves the SNR matrix by U diag(dw/dt) V^T. The flow of han2022 projects the "
            "gradient on the tangent space of whitened features instead: see han2022/snr-flow.",
        ),
        Claim(
            "tightframe/growth-next-order",
            "The growth of each SNR singular value to the next order",
            Kind.LIMIT,
            growth.next_order(motion),
            motion_setting,
            MOTION_DOMAIN,
            lambda: growth.grows_to_next_order(motion, motion_setting),
            simulate_next_order,
            Verdict.PROVED,
            sharpens="han2022/growth",
            notes="From t + a = (N/4) (w^2 + 2 C)^2 + C^2 N (log w - 1), exactly, and log w = o(w^2). The paper's "
            "(4t/N)^(1/4) is the leading term; the next one lowers w^2 by 2 C.",
        ),
        GENERAL_TARGET,
        LOWER_RANK,
        ODD_PAIRS,
        ONE_LAYER,
        TWO_CLASSES,
        THREE_CLASSES,
        DNC_SPECTRUM,
        SOLUTION_DIMENSION,
        EXACT_RANK,
        RELU_PAIRS,
    ),
)
