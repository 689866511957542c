"""Critical points of garrod2025: aligned layers, the Schatten reduction, and neural collapse at every layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...theory import alignment, balance, low_rank, schatten
from ...theory.symbols import POSITIVE, integers, n
from ..claim import Claim
from ..dang2023.critical_points import critical_point
from ..domain import Domain, Parameter
from ..evidence import Comparison, Kind, Verdict

if TYPE_CHECKING:
    from torch import Tensor

    from ...numerics.deep_linear import DeepLinearUFM, Factors

RANK = 1e-12  # of the largest singular value
VERSION = "2410.23169v2"
SCHATTEN = ("variational form of the Schatten quasi-norm",)

CLASSES = Parameter(balance.K, integers(2), "number of classes", sampled_to=5)
SIZE = Parameter(n, integers(1), "samples a class", sampled_to=4)
DIMENSION = Parameter(low_rank.d, integers(1), "width", sampled_to=7)
WIDE = low_rank.d >= balance.K

problem = alignment.alignment()
ALIGNMENT_DOMAIN = Domain(
    (
        CLASSES,
        Parameter(balance.N, integers(1), "samples in all", sampled_to=12),
        *(
            Parameter(size, integers(1), f"rows of {name}", sampled_to=4)
            for size, name in zip(problem.layers.sizes, "ABR", strict=True)
        ),
        Parameter(alignment.r, integers(1), "rank", sampled_to=2),
        Parameter(problem.layers.decays[0], POSITIVE, "decay of all layers"),
    ),
    (balance.N >= balance.K,),
)
alignment_setting = problem.setting(ALIGNMENT_DOMAIN.ranges)

construction = schatten.Schatten()
SCHATTEN_DOMAIN = Domain(
    (
        CLASSES,
        Parameter(balance.N, integers(1), "samples in all", sampled_to=8),
        Parameter(schatten.d, integers(1), "width", sampled_to=6),
        Parameter(schatten.r, integers(1), "rank of the logits", sampled_to=3),
    ),
    (schatten.d >= schatten.r, schatten.r <= balance.K, schatten.r <= balance.N),
)
schatten_setting = construction.setting(SCHATTEN_DOMAIN.ranges)

collapse = low_rank.Collapse(low_rank.Structure(of_pairs=False))
COLLAPSE_DOMAIN = Domain(
    (
        CLASSES,
        SIZE,
        DIMENSION,
        Parameter(low_rank.omega, POSITIVE, "n^(-1/2)"),
        Parameter(low_rank.FACTOR_VALUES[0], POSITIVE, "singular value of every factor"),
        Parameter(low_rank.UPPER[0], POSITIVE, "singular value of the features of the layer, over n^(1/2)"),
        Parameter(low_rank.UPPER[1], POSITIVE, "singular value of the product of the layers above"),
    ),
    (WIDE,),
)
collapse_setting = collapse.setting(COLLAPSE_DOMAIN.ranges)


# ---- simulation
def model_of(classes: int, per_class: int, width: int, depth: int, decay: float) -> DeepLinearUFM:
    """The deep linear model with cross-entropy, without bias."""
    from ...numerics.deep_linear import DeepLinearUFM

    return DeepLinearUFM((per_class,) * classes, width, depth, decay, loss="ce")


def balanced_factors(logits: Tensor, per_class: int, width: int, depth: int, seed: int) -> Factors:
    """Balanced factors of logits (K, K), n times repeated, by their singular value decomposition and random frames."""
    import torch

    from ...numerics.deep_linear import Factors
    from ...numerics.frames import partial_isometry

    classes = logits.shape[-1]
    left, values, right = torch.linalg.svd(logits * per_class**0.5)
    values = torch.where(values > RANK * values[0], values, 0.0)  # a root of what rounding leaves is not small
    roots = values ** (1 / (depth + 1))
    inner = [partial_isometry(width, classes, seed + m) for m in range(depth)]
    weights = [above * roots @ below.mT for above, below in zip([*inner[1:], left], inner, strict=True)]
    features = inner[0] * roots @ right / per_class**0.5
    return Factors(tuple(weights), features.repeat_interleave(per_class, dim=-1))


def simulate_alignment(values: Mapping[str, Any], seed: int) -> Comparison:
    """At a critical point, the singular values of every factor beside those of H_1; and of Z, beside their powers."""
    import torch

    classes = min(values["K"], 4)
    per_class, depth = 1 + seed % 3, 1 + seed % 3
    model = model_of(classes, per_class, classes + seed % 2, depth, 0.02 / (1 + values["lambda"]))
    point, converged = critical_point(model, seed, eliminate=False)
    of_features = torch.linalg.svdvals(point.features)[:classes]
    measured: list[float] = []
    for weight in point.weights:
        measured += torch.linalg.svdvals(weight)[:classes].tolist()
    measured += torch.linalg.svdvals(point.product @ point.features)[:classes].tolist()
    theoretical = of_features.tolist() * depth + (of_features ** (depth + 1)).tolist()
    return Comparison(measured, theoretical, 1e-5, converged=converged)


def simulate_schatten(values: Mapping[str, Any], seed: int) -> Comparison:
    """Balanced factors of a random product have the least sum of squares; others of the same product have more."""
    import torch

    from ...numerics.frames import partial_isometry

    generator = torch.Generator().manual_seed(seed)
    depth, rank, width = 1 + seed % 4, values["r"], values["d"]
    shape = values["K"], values["N"]

    def normal(*sizes: int) -> Tensor:
        return torch.randn(*sizes, dtype=torch.float64, generator=generator)

    product = normal(shape[0], rank) @ normal(rank, shape[1])
    left, sizes, right = (
        part[..., :rank] for part in (*torch.linalg.svd(product)[:2], torch.linalg.svd(product)[2].mT)
    )
    roots = sizes ** (1 / (depth + 1))
    inner = [partial_isometry(width, rank, seed + m) for m in range(depth)]
    factors = [above * roots @ below.mT for above, below in zip([*inner[1:], left], inner, strict=True)]
    factors.insert(0, inner[0] * roots @ right.mT)
    others: list[float] = []
    for _ in range(5):
        changes = [torch.linalg.matrix_exp(0.3 * normal(width, width)) for _ in range(depth)]
        changed = [change @ factor for change, factor in zip(changes, factors, strict=False)] + factors[-1:]
        for m, change in enumerate(changes, 1):
            changed[m] = changed[m] @ torch.linalg.inv(change)
        others.append(sum(float(factor.square().sum()) for factor in changed))
    measured = sum(float(factor.square().sum()) for factor in factors)
    theoretical = (depth + 1) * float((torch.linalg.svdvals(product)[:rank] ** (2 / (depth + 1))).sum())
    return Comparison([measured], [theoretical], 1e-9 * max(1.0, theoretical), others)


def simulate_collapse(values: Mapping[str, Any], seed: int) -> Comparison:
    """Of random layers: deviations from the means, Gram matrix and sum of the means, and rows of the layers above."""
    import torch

    classes, per_class, depth = values["K"], values["n"], 1 + seed % 4
    simplex = torch.eye(classes, dtype=torch.float64) - 1 / classes
    point = balanced_factors(values["s"] * simplex, per_class, values["d"], depth, seed)
    measured: list[float] = []
    theoretical: list[float] = []
    features = point.features
    for m in range(depth):
        above = point.weights[-1]
        for weight in reversed(point.weights[m:-1]):
            above = above @ weight
        means = features.unflatten(-1, (classes, per_class)).mean(dim=-1)
        spread = (features - means.repeat_interleave(per_class, dim=-1)).abs().max() / means.abs().max()
        cosines = torch.nn.functional.cosine_similarity(above, means.mT, dim=-1)
        gram = means.mT @ means
        measured += [float(spread), float(means.sum(dim=-1).norm() / means.norm()), *cosines.tolist()]
        measured += (gram / gram.trace()).flatten().tolist()
        theoretical += [0.0, 0.0, *[1.0] * classes, *(simplex / (classes - 1)).flatten().tolist()]
        features = point.weights[m] @ features
    return Comparison(measured, theoretical, 1e-9)


CLAIMS = (
    Claim(
        "garrod2025/alignment",
        "At every critical point all factors have the same singular values and matching singular vectors",
        Kind.IDENTITY,
        problem.statement,
        alignment_setting,
        ALIGNMENT_DOMAIN,
        lambda: alignment.aligned(problem, alignment_setting),
        simulate_alignment,
        Verdict.PROVED,
        version=VERSION,
        locator="Lemma 1",
        notes="A is any layer above another one, B (or the features, with R = I). The first term of the objective "
        "may be any differentiable function of the logits, with gradient G there; of cross-entropy and of the "
        "balance of classes nothing is used. With A = U s V^T, B = V s Q^T, and A B = U s^2 Q^T: going down layer by "
        "layer, Z has the singular values s^(L+1). Zero singular values are left out: the factors have one rank.",
    ),
    Claim(
        "garrod2025/schatten",
        "The least sum of squared norms of L + 1 factors of Z is (L+1) sum_i sigma_i(Z)^(2/(L+1))",
        Kind.OPTIMUM,
        construction.statement,
        schatten_setting,
        SCHATTEN_DOMAIN,
        lambda: schatten.attained(construction, schatten_setting),
        simulate_schatten,
        Verdict.PROVED,
        version=VERSION,
        locator="section 2",
        notes="What is proved is that the sum is attained: with R the (L+1)-th root of the singular values, the "
        "factors U R P^T, P R Q^T and Q R V^T have the squared norm tr R^2 each, and one layer more multiplies B, a "
        "power of R, by R. That no factors do better is the lemma of the literature.",
        lemmas=SCHATTEN,
    ),
    Claim(
        "garrod2025/dnc-properties",
        "Deep neural collapse has NC1, NC2 and NC3 at every layer, with zero global means",
        Kind.IDENTITY,
        collapse.statement,
        collapse_setting,
        COLLAPSE_DOMAIN,
        lambda: low_rank.collapse(collapse, collapse_setting),
        simulate_collapse,
        Verdict.PROVED,
        version=VERSION,
        locator="Proposition 1",
        notes="The first three equations lead from each layer to the next, so that its features are c n^(-1/2) Q Y "
        "and the product of the layers above is b Q^T, with Q^T Q = I - 1 1^T / K.",
    ),
)
