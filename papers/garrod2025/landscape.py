"""The loss surface at neural collapse in garrod2025: signs and norms of the Hessian, and how many factors there are."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ...theory import (
    definiteness,
    flatness,
    landscape,
    logit_scale,
    second_variation,
    softmax_hessian,
    solution_dimension,
)
from ...theory.symbols import integers, reals
from ..claim import Claim
from ..domain import Domain, Parameter
from ..evidence import Comparison, Kind, Verdict
from ..prediction import Input, Prediction
from .alignment import CLASSES, POSITIVE, SIZE, VERSION, balanced_factors, model_of
from .losses import INPUTS, K_INPUT, L_INPUT, N_INPUT, numbers, scaled, simplex_logits

if TYPE_CHECKING:
    from torch import Tensor

INDUCTION = second_variation.INDUCTION
LAYERS = Parameter(second_variation.L, integers(1), "number of weight layers L", sampled_to=3)

SOFTMAX_DOMAIN = Domain((CLASSES, Parameter(softmax_hessian.x, POSITIVE, "e^alpha")))
softmax_setting = softmax_hessian.setting(SOFTMAX_DOMAIN.ranges)

VARIATION = (
    CLASSES,
    LAYERS,
    SIZE,
    *(
        Parameter(symbol, integers(1), says)
        for symbol, says in (
            (second_variation.a, "rows of a layer"),
            (second_variation.d, "rows of the layer below"),
            (second_variation.r, "rank"),
            (second_variation.m, "factors up to a layer"),
        )
    ),
    *(
        Parameter(symbol, POSITIVE, says)
        for symbol, says in (
            (second_variation.alpha, "scale"),
            (second_variation.s, "singular value of every factor"),
            (second_variation.c, "s^(L-1)"),
            (second_variation.q, "1/(e^alpha + K - 1)"),
            (second_variation.omega, "n^(-1/2)"),
        )
    ),
    Parameter(second_variation.kappa, reals(0), "K (e^alpha - 1) q"),
)
DEFINITE_DOMAIN = Domain(
    (
        *VARIATION,
        Parameter(second_variation.x, POSITIVE, "e^alpha"),
        Parameter(second_variation.excess, POSITIVE, "e^alpha - 1"),
        Parameter(second_variation.F, reals(0), "sum of the squared norms of directions"),
        Parameter(second_variation.t, reals(0), "step along a direction"),
    ),
    ((second_variation.L + 1) * second_variation.alpha >= second_variation.K * (second_variation.L - 1),),
)
definite_setting = second_variation.definite_setting(DEFINITE_DOMAIN.ranges)
THRESHOLD_DOMAIN = Domain(VARIATION)
threshold_setting = second_variation.threshold_setting(THRESHOLD_DOMAIN.ranges)

THREE_CLASSES_DOMAIN = Domain((Parameter(solution_dimension.scale, POSITIVE, "singular value of both factors"),))
three_classes_setting = solution_dimension.three_classes(THREE_CLASSES_DOMAIN.ranges)
DIMENSION_DOMAIN = Domain(
    (
        Parameter(solution_dimension.K, integers(3), "number of classes", sampled_to=5),
        Parameter(solution_dimension.N, integers(3), "samples in all", sampled_to=6),
        Parameter(solution_dimension.r, integers(1), "rank of the factors", sampled_to=4),
        Parameter(solution_dimension.d, integers(1), "width of the factors", sampled_to=5),
        Parameter(solution_dimension.classes, integers(3), "classes, to compare dimensions", sampled_to=5),
        Parameter(solution_dimension.rank, integers(1), "rank below K - 1", sampled_to=3),
        Parameter(solution_dimension.width, integers(3), "width from K on", sampled_to=7),
    ),
    (
        solution_dimension.r <= solution_dimension.K,
        solution_dimension.r <= solution_dimension.N,
        solution_dimension.r <= solution_dimension.d,
        solution_dimension.rank <= solution_dimension.classes - 2,
        solution_dimension.width >= solution_dimension.classes,
    ),
)
dimension_setting = solution_dimension.setting(DIMENSION_DOMAIN.ranges)

FLATNESS_DOMAIN = Domain(
    (
        Parameter(flatness.m, integers(2), "number of pairs, K = 2m", sampled_to=3),
        LAYERS,
        Parameter(flatness.d, integers(1), "width", sampled_to=6),
        SIZE,
        Parameter(flatness.w, POSITIVE, "e^alpha, or e^beta"),
    ),
    (flatness.d >= 2 * flatness.m,),
)
flatness_setting = flatness.setting(FLATNESS_DOMAIN.ranges)


# ---- predictions
def predict_definite(values: Mapping[str, Any], digits: int | None) -> dict[str, Any]:
    scaled(logit_scale.simplex(values["K"]), values)  # within limits
    given = values["K"], values["L"], values["n"], values["lam"]
    found = numbers(
        {
            "alpha": lambda bits: definiteness.larger_scale(*given, bits),
            "alpha_threshold": lambda bits: definiteness.threshold(*given[:2], bits),
        },
        digits,
    )
    return {"psd": definiteness.no_negative_eigenvalue(*given), **found}


def predict_dimension(values: Mapping[str, Any], digits: int | None) -> dict[str, Any]:
    classes, depth, width, rank = (values[name] for name in ("K", "L", "d", "r"))
    if rank > classes - 1:
        raise ValueError(f"r (rank of the logits): expected an integer from 1 to K - 1 = {classes - 1}, got {rank}")
    if width < classes:
        raise ValueError(f"d (width): expected an integer from K = {classes} on, got {width}")
    ratio = solution_dimension.ratio(classes, width, rank)
    return {
        "dimension": solution_dimension.dimension(depth, width, rank),
        "dnc_dimension": solution_dimension.dimension(depth, width, classes - 1),
        **numbers({"ratio": lambda bits: ratio}, digits),
    }


def predict_flatness(values: Mapping[str, Any], digits: int | None) -> dict[str, Any]:
    classes, depth, per_class = (values[name] for name in ("K", "L", "n"))
    if classes % 2 or classes < 4:
        raise ValueError(f"K (number of classes): expected an even number from 4, got {classes}")
    found = flatness.ratios(classes, depth, per_class)
    return numbers({name: (lambda bits, value=value: value(bits)) for name, value in found.items()}, digits)


# ---- simulation
def collapse_decay(classes: int, depth: int, per_class: int, scale: float) -> float:
    """lam at which neural collapse of this scale is critical."""
    return scale ** ((depth - 1) / (depth + 1)) / (math.exp(scale) + classes - 1) / per_class ** (1 / (depth + 1))


def paired_decay(classes: int, depth: int, per_class: int, scale: float) -> float:
    power, root = math.exp(-scale), 1 / (depth + 1)
    mean = power * (2 * power + classes - 2) / (1 + (classes - 2) * power + power**2)
    return scale ** ((depth - 1) * root) * mean / (classes / 2 * 4**root * per_class**root)


def hessian_values(logits: Tensor, depth: int, per_class: int, width: int, decay: float, seed: int) -> Tensor:
    """Eigenvalues of the Hessian of the model at balanced factors of logits, in units of the decay, ascending."""
    import torch

    from ...numerics.landscape import Hessian

    model = model_of(logits.shape[-1], per_class, width, depth, decay)
    point = balanced_factors(logits, per_class, width, depth, seed)
    return torch.linalg.eigvalsh(Hessian(model, point).dense()) / decay


def simulate_softmax(values: Mapping[str, Any], seed: int) -> Comparison:
    """The Hessian of cross-entropy by automatic differentiation; rho is the slope in x of its product with D^2."""
    import torch

    classes, power = values["K"], values["x"]
    own = seed % classes
    simplex, unit = simplex_logits(classes), torch.eye(classes, dtype=torch.float64)[:, own : own + 1]

    def hessian(x: float) -> Tensor:
        def loss(logits: Tensor) -> Tensor:
            return torch.nn.functional.cross_entropy(logits, torch.tensor(own))

        found: Any = torch.autograd.functional.hessian(loss, math.log(x) * unit[:, 0])
        return simplex @ found @ simplex

    total = power + classes - 1
    s = simplex @ unit
    leading = (total + 1) ** 2 * hessian(power + 1) - total**2 * hessian(power)
    measured = torch.stack([hessian(power), leading / (total + 1) ** 2])
    curved = (simplex + classes * (power - 1) / total * s @ s.T) / total
    theoretical = torch.stack([curved, (classes * s @ s.T + simplex) / (total + 1) ** 2])
    return Comparison(measured.flatten().tolist(), theoretical.flatten().tolist(), 1e-12)


def simulate_definite(values: Mapping[str, Any], seed: int) -> Comparison:
    """The least eigenvalue from the threshold on, over that of the decay."""
    classes, depth, per_class = values["K"], values["L"], 1 + seed % 2
    scale = min(values["alpha"], 12.0)
    decay = collapse_decay(classes, depth, per_class, scale)
    logits = scale * simplex_logits(classes)
    least = float(hessian_values(logits, depth, per_class, classes, decay, seed)[0])
    return Comparison([least], [0.0], 1e-10)


def simulate_spectrum(values: Mapping[str, Any], seed: int) -> Comparison:
    """All eigenvalues of the Hessian at neural collapse, on both sides of the threshold, beside the formulas."""
    classes, depth, per_class = values["K"], values["L"], 1 + seed % 2
    scale, width = min(values["alpha"], 12.0), classes + seed % 2
    decay = collapse_decay(classes, depth, per_class, scale)
    measured = hessian_values(scale * simplex_logits(classes), depth, per_class, width, decay, seed).tolist()
    found = landscape.dnc_spectrum(classes, depth, width, per_class, scale)
    theoretical = [value for value, count in found for _ in range(count)]
    return Comparison(measured, theoretical, 1e-10 * max(1.0, theoretical[-1]))


def simulate_dimension(values: Mapping[str, Any], seed: int) -> Comparison:
    """The exact rank of what turns of the layers do, and the nullity of the Hessian at minima of a squared error."""
    import torch

    from ...numerics import parametrisation

    rng = random.Random(seed)
    rank, depth, decay = values["r"], 1 + seed % 2, 0.01
    sizes = [rng.randint(1, 3)] * rank if seed % 3 else [rng.randint(1, 3) for _ in range(rank)]
    weights, features = parametrisation.rational_aligned(values["K"], values["N"], values["d"], sizes, depth, seed)
    turns = parametrisation.exact_rank(parametrisation.rotation_differential(weights, features))
    factors = [torch.tensor(each.astype(float)) for each in (features, *weights)]
    product = factors[0]
    for factor in factors[1:]:
        product = factor @ product
    left, powers, right = torch.linalg.svd(product)
    roots = powers[:rank] ** ((1 - depth) / (1 + depth))
    target = product + decay * left[:, :rank] * roots @ right[:rank]

    def objective(point: Tensor) -> Tensor:
        parts = point.split([factor.numel() for factor in factors])
        product, *above = (part.view_as(factor) for part, factor in zip(parts, factors, strict=True))
        for factor in above:
            product = factor @ product
        return ((product - target).square().sum() + decay * point.square().sum()) / 2

    hessian: Any = torch.autograd.functional.hessian(objective, torch.cat([each.flatten() for each in factors]))
    nullity = len(hessian) - parametrisation.rank(hessian.numpy())
    wanted = float(solution_dimension.dimension(depth, values["d"], rank))
    return Comparison([float(turns), float(nullity)], [wanted, wanted], 0.0)


def simulate_flatness(values: Mapping[str, Any], seed: int) -> Comparison:
    """Ratios of norms of Hessians at the larger critical scales of ever smaller decays, over their limits."""
    import torch

    from ...numerics.low_rank import paired

    classes, depth, per_class = 2 * values["m"], values["L"], 1 + seed % 2
    ratios = flatness.ratios(classes, depth, per_class)
    with_limits = [float(value(64)) for value in ratios.values()]
    worst: list[float] = []
    for exponent in (40, 600):
        decay = Fraction(math.exp(-exponent))
        norms: list[Tensor] = []
        for structure, logits in (
            (logit_scale.simplex(classes), simplex_logits(classes)),
            (logit_scale.pairs(classes), paired(classes)),
        ):
            scale = float(logit_scale.Scaled(structure, depth, per_class, decay).critical(64)[-1].mid())
            found = hessian_values(scale * logits, depth, per_class, classes, float(decay), seed)
            norms.append(torch.stack([found.sum(), found.norm(), found.abs().max()]))
        ratio = (norms[0] / norms[1]).tolist()
        worst.append(max(abs(each / limit - 1) for each, limit in zip(ratio, with_limits, strict=True)))
    return Comparison(worst, [0.0] * 2, 0.01)


DIMENSIONS = Prediction(
    (
        K_INPUT,
        L_INPUT,
        Input("d", integers(1), "width"),
        Input("r", integers(1), "rank of the logits"),
    ),
    predict_dimension,
)

CLAIMS = (
    Claim(
        "garrod2025/dnc-psd",
        "The Hessian at neural collapse has no negative eigenvalue if alpha >= K (L-1)/(L+1), hence for small lam",
        Kind.LOWER,
        second_variation.definite_statement(),
        definite_setting,
        DEFINITE_DOMAIN,
        lambda: second_variation.definite(definite_setting),
        simulate_definite,
        Verdict.PROVED,
        version=VERSION,
        locator="Theorem 4",
        notes="By parts: the softmax; the product with one layer more; by which squares its second variation then "
        "exceeds its bound further, of m and of m + 1 factors, where induction starts at the features, so that the "
        "surplus is never negative; then all layers. With X and Z the first and second order of the logits, s_i^T "
        "X_i = w_i, cross-entropy has the curvature (q/(K n)) (tr X^T S X + kappa sum_i w_i^2) and the gradient -q "
        "n^(-1/2) U_L J^T, and (L+1)/lam times the second variation is the surplus and squares, one of them with the "
        "weight (L+1) alpha/K - (L-1). A_l are any directions. At last alpha e^alpha q > alpha/K: above the "
        "threshold lam falls in alpha (garrod2025/dnc-scale), so the diverging solution has alpha >= K (L-1)/(L+1) "
        "exactly if lam n^(1/(L+1)) <= a^((L-1)/(L+1)) / (e^a + K - 1) at a = K (L-1)/(L+1). For L = 1 that is every "
        "lam with a solution. The condition is necessary too for K >= 4: tightframe/dnc-spectrum.",
        lemmas=INDUCTION,
        predict=Prediction(INPUTS, predict_definite),
    ),
    Claim(
        "garrod2025/rho-identity",
        "S rho S = K s s^T + S for the leading part rho of the softmax Hessian at neural collapse",
        Kind.IDENTITY,
        softmax_hessian.statement(),
        softmax_setting,
        SOFTMAX_DOMAIN,
        lambda: softmax_hessian.at_neural_collapse(softmax_setting),
        simulate_softmax,
        Verdict.PROVED,
        version=VERSION,
        locator="Lemma 2",
        notes="D = x + K - 1, x = e^alpha; e is the unit vector of the class and s = S e. Multiplied by D or D^2: the "
        "softmax p = (1 + (x - 1) e)/D sums to one, p - e = -(K/D) s, D^2 (diag(p) - p p^T) = x rho + a part without "
        "x, the lemma, and S (diag(p) - p p^T) S = (S + K (x - 1)/D s s^T)/D in full.",
    ),
    Claim(
        "garrod2025/solution-dimension",
        "D = L (r d - r^2) where all singular values are equal, and D_DNC/D starts below 1",
        Kind.IDENTITY,
        solution_dimension.dependent(),
        three_classes_setting,
        THREE_CLASSES_DOMAIN,
        recorded=Verdict.REFUTED,
        version=VERSION,
        locator="Theorem 5",
        notes="The statement is what the claim says of one case, K = d = 3, L = n = 1 and neural collapse: D = 3 * 2 - "
        "2^2 = 2, so any three velocities in the set of balanced W and H of one W H are dependent. (W e^(-tA), e^(tA) "
        "H) stays in the set, with velocity (-W A, A H); for the three generators of rotations the determinant of Gram "
        "is not zero, and D is 3. Read as the dimension of the set of balanced, hence aligned, factors that produce "
        "one Z, D is L (r d - r(r+1)/2) for every singular values (tightframe/solution-dimension): the bounds "
        "r(r+1)/2 <= C(r) <= r^2 are right and C(r) is always the lower one. r d - r^2 is the dimension of the set of "
        "r-dimensional subspaces; but turning the frame of one layer within its range changes two factors. All "
        "factors of a product Z, balanced or not, are more. Then D_DNC/D = (K-1)(d - K/2) / (r (d - (r+1)/2)): at d = "
        "K it is K(K-1) / (r (2K - r - 1)) > 1 for r < K - 1, 6/5 for K = 4, r = 2. That it increases in d to (K-1)/r "
        "remains true.",
        predict=DIMENSIONS,
    ),
    Claim(
        "garrod2025/flatness-ratio",
        "As lam -> 0 the norms of the Hessians at neural collapse and at pairs have ratios with positive limits",
        Kind.LIMIT,
        flatness.statement(),
        flatness_setting,
        FLATNESS_DOMAIN,
        lambda: flatness.limits_of_norms(flatness_setting),
        simulate_flatness,
        Verdict.SUPPORTED,
        version=VERSION,
        locator="Theorem 6",
        beyond="that these are the eigenvalues of the Hessians",
        notes="K = 2m. Both norms are like lam log(1/lam). Trace: 2 (K-1) (K n + L (K-1)) / (K^2 (2n + L + 1)). "
        "Frobenius, squared: 2 (K-1) (K-2) (K^2 (L^2 + 2L + n) + 2K (L + n) - 4L) / (K^3 (K (L^2 + 2L + 2n + 3) + 4)). "
        "Spectral: 1 for L >= 2, and (K-2)/(K-1) for L = 1. So neither is always flatter: of the trace the limit is "
        "3/4 for K = 4, L = 2, n = 1, and 2 (K-1)^2/K^2 > 1 for large L. In w = e^alpha, or e^beta, all blocks of the "
        "spectra are written out, over lam: what grows does so like log w times the limits that are added up; alpha "
        "and beta are both like -log lam (garrod2025/dnc-scale, garrod2025/paired-scale). That the blocks are those "
        "of the Hessians is derived by hand, and compared with full spectra.",
        predict=Prediction((K_INPUT, L_INPUT, N_INPUT), predict_flatness),
    ),
)

DNC_SPECTRUM = Claim(
    "tightframe/dnc-spectrum",
    "For K >= 4 the Hessian at neural collapse has no negative eigenvalue exactly if alpha >= K (L-1)/(L+1)",
    Kind.IDENTITY,
    second_variation.threshold_statement(),
    threshold_setting,
    THRESHOLD_DOMAIN,
    lambda: second_variation.threshold(threshold_setting),
    simulate_spectrum,
    Verdict.PROVED,
    sharpens="garrod2025/dnc-psd",
    notes="The other direction of garrod2025/dnc-psd. Equal blocks A_l = U_l B U_{l-1}^T with B = U_L^T M U_L, M "
    "symmetric without diagonal and with rows of sum zero, have the first and second order y = m U B, z = m (m-1)/2 U "
    "B^2, and the second variation lam (L+1) ((L+1) alpha/K - (L-1)) ||M||^2: negative below the threshold. Such an M "
    "needs four classes k, j, h, l: (k-j)(h-l)^T + (h-l)(k-j)^T; o is any other class. For K = 2 the threshold is "
    "alpha p = (L-1)/(L+1), which the larger critical scale always exceeds; for K = 3 a determinant decides; both "
    "are in predict of garrod2025/dnc-psd. The whole spectrum over lam, r = K - 1, x = alpha/K, p the softmax of the "
    "right class, kappa = K (K p - 1)/r, derived by hand and compared with full spectra: 0 and 2, L r (d - r) times "
    "each; 1 for the blocks off the range; 1 + x, K (n-1) (K-2) times, and 1 + alpha p, K (n-1) times, within "
    "classes; 2, L r (r+1)/2 times, and 0, L r (r-1)/2 times, for differences between layers; (L+1) (1 + x), r (r-1)/2 "
    "times; (L+1) x - (L-1), K (K-3)/2 times; (L+1) alpha p - (L-1); and K - 1 times those of [[1 - L + x (L+1) (1 + "
    "kappa (1 - 2/K)), x kappa ((L+1) (K-2))^(1/2)/K], [the same, 1 + x (1 + kappa/K)]]. So above the threshold the "
    "nullity is L (r d - r(r+1)/2), the dimension of tightframe/solution-dimension.",
    lemmas=INDUCTION,
)

SOLUTION_DIMENSION = Claim(
    "tightframe/solution-dimension",
    "Balanced factors of logits of rank r form a set of dimension L (r d - r (r+1)/2), whatever the singular values",
    Kind.IDENTITY,
    solution_dimension.statement(),
    dimension_setting,
    DIMENSION_DOMAIN,
    lambda: solution_dimension.balanced_factors(dimension_setting),
    simulate_dimension,
    Verdict.PROVED,
    corrects="garrod2025/solution-dimension",
    notes="The set of W_L = T S U_{L-1}^T, ..., H_1 = U_0 S J^T with Z = T S^(L+1) J^T is in bijection with L "
    "frames: a layer leads from one power of S to the next (P), layers are balanced, and the frames are read off the "
    "factors; another choice T R, J R of singular vectors, R S = S R, gives the same factors with frames U_l R^T. A "
    "velocity X of a frame is U Omega + M, Omega skew and U^T M = 0, of r(r-1)/2 + r (d-r) dimensions. Of numbers, "
    "rho < k - 1 and w >= k, k for K: D(k-1, w) > D(rho, w) > 0, the ratio increases in w, and (k-1) D(rho, w) - rho "
    "D(k-1, w) does not depend on w, so that the limit is (k-1)/rho. That critical points are of this form is "
    "garrod2025/alignment.",
    predict=DIMENSIONS,
)
