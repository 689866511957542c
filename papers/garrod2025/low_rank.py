"""Low rank in garrod2025: pairs beat neural collapse, lower rank wins in deep models, and the least rank there is."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import sympy as sp

from ...theory import (
    balance,
    logit_scale,
    low_rank,
    minimal_rank,
    one_layer_collapse,
    three_class_margin,
    two_class_collapse,
)
from ...theory.derivation import Setting
from ...theory.symbols import POSITIVE, integers, n, reals
from ..claim import Claim
from ..domain import Domain, Parameter
from ..evidence import Comparison, Kind, Verdict
from ..prediction import Prediction
from .alignment import SCHATTEN, VERSION, balanced_factors, model_of
from .losses import DECAY, SUBOPTIMAL_INPUTS, predict_suboptimal, simplex_logits

SUBOPTIMAL_DOMAIN = Domain(
    (
        Parameter(low_rank.m, integers(2), "number of pairs, K = 2m or K = 2m + 1", sampled_to=4),
        Parameter(low_rank.L, integers(2), "number of weight layers L", sampled_to=5),
        Parameter(low_rank.alpha, POSITIVE, "scale"),
        DECAY,
        Parameter(n, integers(1), "samples a class", sampled_to=4),
    ),
    ((low_rank.m >= 3) | (low_rank.L >= 3),),
)


def _sample(rng: random.Random) -> Any:
    """Small and large numbers, where the inequalities are nearly equalities."""
    scale = sp.Rational(*rng.choice([(1, 5000), (1, 100), (1, 2), (3, 1), (8, 1)]))
    decay = sp.Rational(*rng.choice([(1, 10000), (1, 40), (1, 1), (20, 1)]))
    sizes = {low_rank.m: rng.choice([2, 3, 4, 60]), low_rank.L: rng.choice([2, 3, 4, 30]), n: rng.randint(1, 3)}
    return {**sizes, low_rank.alpha: scale, low_rank.lam: decay}


suboptimal_setting = Setting(SUBOPTIMAL_DOMAIN.ranges, (), _sample)

MINIMAL_DOMAIN = Domain(
    (
        Parameter(balance.K, integers(3), "number of classes", sampled_to=7),
        Parameter(minimal_rank.t, reals(0), "parameter of a point of the circle"),
        Parameter(minimal_rank.g, POSITIVE, "how much larger that of another point is"),
    )
)
minimal_setting = minimal_rank.minimal_rank_setting(MINIMAL_DOMAIN.ranges)

SUPERIORITY_DOMAIN = Domain(
    (
        Parameter(minimal_rank.L, integers(1), "number of weight layers L"),
        Parameter(minimal_rank.p, integers(2), "rank of X"),
        Parameter(minimal_rank.q, integers(1), "rank of M"),
        *(
            Parameter(symbol, POSITIVE, says)
            for symbol, says in (
                (minimal_rank.R, "D m_1 / (mu x_p)"),
                (minimal_rank.rho, "R^(2/(L+1))"),
                (minimal_rank.mu, "least gap of M"),
                (minimal_rank.D, "largest difference of two entries in a column of X"),
                (minimal_rank.scale, "scale of X"),
                (minimal_rank.gap, "a gap"),
                (minimal_rank.rest, "the other terms of a softmax, over that of the right class"),
                (minimal_rank.unit, "(t x_p n^(1/2))^(2/(L+1))"),
            )
        ),
        Parameter(minimal_rank.more, reals(0), "by how much a gap of M exceeds mu"),
        Parameter(minimal_rank.less, reals(0), "by how much a gap of X falls short of D"),
    ),
    (minimal_rank.p > minimal_rank.q,),
)
superiority_setting = minimal_rank.Superiority.setting(SUPERIORITY_DOMAIN.ranges)

ONE_LAYER_DOMAIN = Domain(
    (
        Parameter(balance.K, integers(2), "number of classes", sampled_to=5),
        Parameter(n, integers(1), "samples a class", sampled_to=3),
        Parameter(one_layer_collapse.d, integers(1), "width", sampled_to=6),
        DECAY,
        Parameter(one_layer_collapse.omega, POSITIVE, "n^(-1/2)"),
        Parameter(one_layer_collapse.s, POSITIVE, "singular value of both factors"),
    ),
    (one_layer_collapse.d >= balance.K,),
)
one_layer_setting = one_layer_collapse.setting(ONE_LAYER_DOMAIN.ranges)

TWO_CLASSES_DOMAIN = Domain(
    (
        Parameter(two_class_collapse.L, integers(1), "number of weight layers L", sampled_to=4),
        Parameter(n, integers(1), "samples a class", sampled_to=4),
        DECAY,
        Parameter(two_class_collapse.alpha, POSITIVE, "root of the mean squared gap"),
        Parameter(two_class_collapse.g, POSITIVE, "a gap"),
        Parameter(two_class_collapse.y, reals(0), "minus a gap"),
        Parameter(two_class_collapse.rho, POSITIVE, "(n alpha^2)^(1/(L+1))"),
        Parameter(two_class_collapse.f, POSITIVE, "squared norm of a factor"),
        Parameter(two_class_collapse.q, POSITIVE, "squared norm of the row u"),
        Parameter(two_class_collapse.a, integers(1), "width", sampled_to=4),
        Parameter(two_class_collapse.b, integers(1), "next width, or 2n", sampled_to=4),
    )
)
two_classes_setting = two_class_collapse.setting(TWO_CLASSES_DOMAIN.ranges)

THREE_CLASSES_DOMAIN = Domain(
    (
        Parameter(three_class_margin.L, integers(1), "number of weight layers L", sampled_to=5),
        *(
            Parameter(symbol, POSITIVE, f"gap of class {j} in column {k}")
            for symbol, (k, j) in zip(
                (three_class_margin.a, three_class_margin.b, three_class_margin.c, three_class_margin.d),
                ((1, 2), (1, 3), (2, 1), (2, 3)),
                strict=True,
            )
        ),
        *(
            Parameter(symbol, reals(0), says)
            for symbol, says in (
                (three_class_margin.x, "g_12 - 1"),
                (three_class_margin.y, "g_21 - 1"),
                (three_class_margin.z, "g_23 - 1, or g_13 - 1"),
                (three_class_margin.h, "what the larger gap of a column has more"),
                (three_class_margin.u, "another gap, less one"),
                (three_class_margin.v, "a further gap, less one"),
            )
        ),
    )
)
three_classes_setting = three_class_margin.setting(THREE_CLASSES_DOMAIN.ranges)


# ---- simulation
def simulate_two_classes(values: Mapping[str, Any], seed: int) -> Comparison:
    """Neural collapse beside points near and far with the same mean squared gap, brought there by their last layer."""
    import torch

    depth, per_class = values["L"], values["n"]
    scale, decay = min(values["alpha"], 20.0), min(values["lambda"], 2.0)
    model = model_of(2, per_class, 3, depth, decay)
    point = balanced_factors(scale * simplex_logits(2), per_class, 3, depth, seed)
    formula = logit_scale.Scaled(logit_scale.simplex(2), depth, per_class, Fraction(decay))
    theoretical = float(formula.loss(logit_scale.ball(Fraction(scale))))
    generator = torch.Generator().manual_seed(seed)
    others: list[float] = []
    for size in (0.01, 0.1, 1.0, 10.0):
        other = point.map(
            lambda tensor, size=size: (
                tensor + size * scale * torch.randn(tensor.shape, dtype=tensor.dtype, generator=generator)
            )
        )
        logits = other.product @ other.features
        factor = scale / float((logits[0] - logits[1]).square().mean()) ** 0.5
        weights = (*other.weights[:-1], factor * other.weights[-1])
        others.append(float(model.objective(replace(other, weights=weights))))
    return Comparison([float(model.objective(point))], [theoretical], 1e-11 * max(1.0, theoretical), others)


def simulate_three_classes(values: Mapping[str, Any], seed: int) -> Comparison:
    """Squared norms of balanced factors of neural collapse, beside logits that have its gaps or larger ones."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    depth, per_class, scale = values["L"], 1 + seed % 3, values["a"]

    def squares(logits: Any) -> float:
        point = balanced_factors(logits, per_class, 3, depth, seed)
        return sum(float(each.square().sum()) for each in point.tensors)

    simplex = simplex_logits(3)
    own = torch.eye(3, dtype=torch.bool)
    others: list[float] = []
    for size in (0.0, 0.01, 0.3, 1.0, 3.0):
        more = size * torch.rand(3, 3, dtype=torch.float64, generator=generator)
        more[0, 1] += size  # two classes that are far from each other
        more[1, 0] += size
        others.append(squares(-simplex @ (scale * (1 + more)).masked_fill(own, 0.0)))
    theoretical = (depth + 1) * 2 * (scale * per_class**0.5) ** (2 / (depth + 1))
    return Comparison([squares(scale * simplex)], [theoretical], 1e-9 * max(1.0, theoretical), others)


def simulate_one_layer(values: Mapping[str, Any], seed: int) -> Comparison:
    """The least loss of many minimisations, with decays up to the largest, beside neural collapse of the best scale."""
    from ...numerics import minimisation

    classes, per_class = values["K"], values["n"]
    decay = random.Random(seed).uniform(0.05, 0.95) / (classes * per_class**0.5)
    model = model_of(classes, per_class, 2 * classes, 1, decay)
    found = minimisation.global_minimum(model, seed, starts=6)
    _, least = logit_scale.Scaled(logit_scale.simplex(classes), 1, per_class, Fraction(decay)).floats
    others = found.value.losses.flatten().tolist()
    return Comparison([float(found.stats.loss)], [least], 1e-8, others, found.converged)


def simulate_suboptimal(values: Mapping[str, Any], seed: int) -> Comparison:
    """The objective of the model at neural collapse beside the formula for pairs of the same scale, K even or odd."""
    classes, depth, per_class = 2 * values["m"] + seed % 2, values["L"], values["n"]
    scale, decay = min(values["alpha"], 20.0), values["lambda"]
    model = model_of(classes, per_class, classes, depth, decay)
    point = balanced_factors(scale * simplex_logits(classes), per_class, classes, depth, seed)
    pairs = logit_scale.Scaled(logit_scale.pairs(classes), depth, per_class, Fraction(decay))
    theoretical = float(pairs.loss(logit_scale.ball(Fraction(scale))))
    return Comparison([float(model.objective(point))], [theoretical], 1e-12 * max(1.0, theoretical))


def simulate_superiority(values: Mapping[str, Any], seed: int) -> Comparison:
    """Random X and M, in a model deep enough: the objective of X less that of M at the scale t D / mu."""
    import math

    import torch

    generator = torch.Generator().manual_seed(seed)
    classes = 4 + seed % 3
    rank = min(1 + values["q"], classes - 2)
    other = rank + 1 + values["p"] % (classes - 1 - rank) if classes - 1 > rank else rank + 1

    def normal(*sizes: int) -> Any:
        return torch.randn(*sizes, dtype=torch.float64, generator=generator)

    x = normal(classes, other) @ normal(other, classes)
    points = torch.nn.functional.normalize(normal(rank, classes), dim=0)
    superior = points.mT @ points  # distinct unit vectors
    columns = superior.diagonal() - superior
    gap = float(columns[~torch.eye(classes, dtype=torch.bool)].min())
    largest = float((x.amax(dim=0) - x.amin(dim=0)).max())
    sizes = torch.linalg.svdvals(x)[:other], torch.linalg.svdvals(superior)[:rank]
    ratio = largest * float(sizes[1].max()) / (gap * float(sizes[0].min()))
    depth = max(1, math.floor(2 * math.log(ratio) / math.log(other / rank) - 1) + 1)
    if depth > 60:
        return Comparison([], [], 0.0, converged=False)
    scale = values["t"]
    model = model_of(classes, 1, classes, depth, 0.01 / (depth + 1))
    losses = [
        float(model.objective(balanced_factors(logits, 1, classes, depth, seed)))
        for logits in (scale * x, scale * largest / gap * superior)
    ]
    return Comparison([losses[0]], [losses[1]], 1e-9)


def simulate_minimal(values: Mapping[str, Any], seed: int) -> Comparison:
    """The largest of the least gaps of random matrices of rank one; and minus the least gap of points on a circle."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    classes = values["K"]
    own = torch.eye(classes, dtype=torch.bool)

    def least_gap(matrices: Any) -> Any:
        gaps = matrices.diagonal(dim1=-2, dim2=-1).unsqueeze(-2) - matrices
        return gaps.masked_fill(own, torch.inf).amin(dim=(-2, -1))

    left, right = torch.randn(2, 500, classes, 1, dtype=torch.float64, generator=generator)
    angles = 2 * torch.pi * torch.arange(classes, dtype=torch.float64) / classes
    circle = torch.cos(angles[:, None] - angles)
    return Comparison([float(least_gap(left @ right.mT).max()), -float(least_gap(circle))], [0.0, 0.0], 0.0)


CLAIMS = (
    Claim(
        "garrod2025/dnc-suboptimal",
        "If K >= 4 and L >= 3, or K >= 6 and L = 2, no neural collapse is a global minimum: pairs are better",
        Kind.LOWER,
        low_rank.suboptimal_statement(),
        suboptimal_setting,
        SUBOPTIMAL_DOMAIN,
        lambda: low_rank.suboptimal(suboptimal_setting),
        simulate_suboptimal,
        Verdict.PROVED,
        version=VERSION,
        locator="Theorem 1",
        notes="For K = 2m, then K = 2m + 1: both terms of the loss are less for pairs, and with them the loss, at "
        "every scale alpha > 0, decay and n (garrod2025/dnc-loss and garrod2025/paired-loss). The inequalities of "
        "the losses are multiplied by K/(2m), exponentiated, and multiplied by e^(2 alpha). Neural collapse has "
        "alpha > 0; whether zero is better than both is another question. Elsewhere the answer can depend on lam: "
        "for L = 1 and for K = 2 neural collapse is optimal where it beats zero (tightframe/one-layer-collapse and "
        "tightframe/two-classes); for K = 3 a single pair, for K = 4 at L = 2 two pairs, for K = 5 at L = 2 pairs and "
        "a class, or a circle, beat it on intervals of lam, which predict lists.",
        predict=Prediction(SUBOPTIMAL_INPUTS, predict_suboptimal),
    ),
    Claim(
        "garrod2025/rank-superiority",
        "Diagonally superior logits of lower rank win from an explicit depth on: (p/q)^(L+1) > (D m_1 / (mu x_p))^2",
        Kind.LOWER,
        minimal_rank.Superiority.statement,
        superiority_setting,
        SUPERIORITY_DOMAIN,
        lambda: minimal_rank.superiority(superiority_setting),
        simulate_superiority,
        Verdict.PROVED,
        version=VERSION,
        locator="Theorem 2",
        notes="For every scale t > 0 of X, M at the scale t D / mu has gaps that are no less, hence no more "
        "cross-entropy, and less decay. m_1 is the largest singular value of M, x_p the least positive one of X, mu "
        "the least gap of M, D the largest difference in a column of X. So L_0 = 2 log(D m_1 / (mu x_p)) / log(p/q) "
        "- 1, whatever lam and n are; the best scale of M is better, unless that of X is zero. If D = 0, X has no "
        "cross-entropy below log K and zero beats it.",
        lemmas=SCHATTEN,
    ),
    Claim(
        "garrod2025/minimal-rank",
        "The least rank of a diagonally superior matrix is 2 for K >= 3",
        Kind.UPPER,
        minimal_rank.minimal_rank_statement(),
        minimal_setting,
        MINIMAL_DOMAIN,
        lambda: minimal_rank.minimal_rank(minimal_setting),
        simulate_minimal,
        Verdict.PROVED,
        version=VERSION,
        locator="sections 3.1 and 3.2",
        notes="Rank two: distinct points of the circle, say t = 1, ..., K, have p_i^T p_j < 1 = p_i^T p_i. Rank one: "
        "of a b^T, and three of its classes, the product of the six gaps is minus a square, so that not all are "
        "positive. The paper says q_K <= 2. For K = 2 the least rank is 1, by [[1, -1], [-1, 1]]; the zero matrix "
        "has no gaps.",
    ),
)

ONE_LAYER = Claim(
    "tightframe/one-layer-collapse",
    "With one layer neural collapse is a global minimum at every lam < 1/(K n^(1/2))",
    Kind.OPTIMUM,
    one_layer_collapse.statement(),
    one_layer_setting,
    ONE_LAYER_DOMAIN,
    lambda: one_layer_collapse.collapse_is_optimal(one_layer_setting),
    simulate_one_layer,
    Verdict.PROVED,
    notes="The other side of garrod2025/dnc-suboptimal, L = 1, for every K. At the critical scale, lam n^(1/2) = "
    "1/(e^alpha + K - 1) (garrod2025/dnc-scale), the gradient in the logits is -lam n^(-1/2) (I - 1 1^T / K) Y. By the "
    "lemma the objective is at least a constant plus the function that is minimised here, with equality at neural "
    "collapse of that scale, s^2 = alpha n^(1/2).",
    lemmas=(one_layer_collapse.LEMMA,),
)

TWO_CLASSES = Claim(
    "tightframe/two-classes",
    "With two classes no point is better than neural collapse of the same mean squared gap, at any depth and decay",
    Kind.OPTIMUM,
    two_class_collapse.statement(),
    two_classes_setting,
    TWO_CLASSES_DOMAIN,
    lambda: two_class_collapse.collapse_is_optimal(two_classes_setting),
    simulate_two_classes,
    Verdict.PROVED,
    notes="The other side of garrod2025/dnc-suboptimal, K = 2, for every L and n: the least loss is that of neural "
    "collapse of the best scale, or log 2, at zero. Let alpha^2 be the mean of g^2 over all samples, g the gap of a "
    "sample, and c = 1 / (2 alpha (1 + e^alpha)). By the slope, log(1 + e^-g) + c g^2 falls to g = alpha and then "
    "rises; for g = -y <= 0 it is more than at zero. Its mean over all samples is thus at least log(1 + e^-alpha) + c "
    "alpha^2, and the cross-entropy at least log(1 + e^-alpha). With e = (1, -1)^T the gaps are plus or minus the row "
    "e^T W_L ... W_1 H_1, of squared norm 2 n alpha^2; u is that row so far, A the next factor, and ||u A||^2 <= "
    "||u||^2 ||A||^2 (both are zero if u is). From ||e||^2 = 2 on, 2 n alpha^2 is at most 2 times the product of the "
    "squared norms f of all L + 1 factors. With rho^(L+1) = n alpha^2 each f is at least rho + rho log(f/rho), so "
    "their sum is at least (L+1) rho, which is that of neural collapse (garrod2025/dnc-loss). If all gaps are zero, "
    "zero is as good. No lemma is used.",
)

THREE_CLASSES = Claim(
    "tightframe/three-classes-margin",
    "With three classes neural collapse has the least decay of all logits with its gaps or larger ones, at any depth",
    Kind.OPTIMUM,
    three_class_margin.statement(),
    three_classes_setting,
    THREE_CLASSES_DOMAIN,
    lambda: three_class_margin.collapse_has_the_least_decay(three_classes_setting),
    simulate_three_classes,
    Verdict.PROVED,
    notes="In units of the least gap all gaps are at least one. Means of classes, less their mean over the classes, "
    "have no larger singular values than all logits over n^(1/2), and gaps that are no less. Their two singular values "
    "s, t have (s t)^2 = (M_12^2 + M_13^2 + M_23^2) / 3, by Cauchy and Binet from the area that is stated, with M_12 = "
    "g_12 g_23 + g_13 g_21 - g_12 g_21. M_12 >= 1 if g_13 >= g_12, or if g_23 >= g_21: then all three are, unless "
    "two classes are each other's far class, which is so of one pair at most, say 1 and 2. Then M_13 >= g_12 =: a "
    "and M_23 >= g_21 =: c; if a^2 + c^2 < 3, (a-1)(c-1) < 1 and M_12 >= a + c - a c > 0. In every case the sum of "
    "squares is at least 3, so s t >= 1 and s^p + t^p >= 2 for every p > 0, as for neural collapse. For lam to 0: "
    "where the loss is at most F, every gap is at least G = -log(e^(3F) - 1), and the decay at least that of neural "
    "collapse of the scale G; with F its least loss the two have the ratio one in the limit. So no structure is "
    "better to leading order in lam; whether neural collapse is a global minimum at small lam this does not decide.",
    lemmas=SCHATTEN,
)
