"""Losses of neural collapse and of the paired structure in garrod2025, and the scales at which they are critical."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ...theory import critical_scale, logit_scale, low_rank, optimality
from ...theory.scalar_problem import fraction, rounded_all
from ...theory.symbols import POSITIVE, integers
from ..claim import Claim
from ..domain import Domain, Parameter
from ..evidence import Comparison, Kind, Verdict
from ..prediction import Input, Prediction, to_float
from .alignment import CLASSES, DIMENSION, SIZE, VERSION, WIDE, balanced_factors, model_of

if TYPE_CHECKING:
    from torch import Tensor

DEPTH = Parameter(low_rank.L, integers(1), "number of weight layers L", sampled_to=4)
DECAY = Parameter(low_rank.lam, POSITIVE, "decay of every factor")
OMEGA = Parameter(low_rank.omega, POSITIVE, "n^(-1/2)")
ROOTS = tuple(
    Parameter(s, POSITIVE, f"{i} singular value of every factor")
    for s, i in zip(low_rank.FACTOR_VALUES, ("first", "second"), strict=True)
)
UPPER = tuple(
    Parameter(s, POSITIVE, f"{i} singular value of the layers above")
    for s, i in zip(low_rank.UPPER, ("first", "second"), strict=True)
)

simplex = low_rank.Structure(of_pairs=False)
SIMPLEX_DOMAIN = Domain(
    (CLASSES, DEPTH, SIZE, DIMENSION, DECAY, OMEGA, Parameter(low_rank.alpha, POSITIVE, "scale"), ROOTS[0], UPPER[0]),
    (WIDE,),
)
simplex_setting = simplex.setting(SIMPLEX_DOMAIN.ranges)

pairs = low_rank.Structure(of_pairs=True)
PAIRS_DOMAIN = Domain(
    (
        Parameter(low_rank.m, integers(1), "number of pairs", sampled_to=3),
        Parameter(low_rank.delta, integers(0), "K - 2m", sampled_to=1),
        DEPTH,
        SIZE,
        DIMENSION,
        DECAY,
        OMEGA,
        Parameter(low_rank.beta, POSITIVE, "scale of the pairs"),
        Parameter(low_rank.gamma, POSITIVE, "scale of the single class"),
        *ROOTS,
        *UPPER,
    ),
    (low_rank.d >= pairs.classes, low_rank.delta <= 1),
)
pairs_setting = pairs.setting(PAIRS_DOMAIN.ranges)

FEW_CLASSES = Parameter(critical_scale.K, integers(2), "number of classes", sampled_to=5)
LAYERS = Parameter(critical_scale.L, integers(1), "number of weight layers L", sampled_to=4)
ROOT = Parameter(critical_scale.r, POSITIVE, "(L+1)-th root of the scale")
ETA = Parameter(critical_scale.eta, POSITIVE, "n^(1/(L+1))")
GRADIENT = (
    SIZE,
    DIMENSION,
    OMEGA,
    Parameter(critical_scale.root, POSITIVE, "singular value of every factor"),
    Parameter(critical_scale.above, POSITIVE, "singular value of the layers above"),
    Parameter(critical_scale.below, POSITIVE, "singular value of the layers below with the features"),
    Parameter(critical_scale.epsilon, POSITIVE, "what the softmax leaves"),
)
collapse_gradient, pairs_gradient = (
    critical_scale.Gradient(critical_scale.K),
    critical_scale.Gradient(2 * critical_scale.m),
)
SCALE_DOMAIN = Domain(
    (FEW_CLASSES, LAYERS, DECAY, ETA, ROOT, Parameter(critical_scale.alpha, POSITIVE, "scale"), *GRADIENT),
    (critical_scale.d >= critical_scale.K,),
)
scale_setting = critical_scale.setting(collapse_gradient, SCALE_DOMAIN.ranges)
PAIRS_SCALE_DOMAIN = Domain(
    (
        Parameter(critical_scale.m, integers(2), "number of pairs, K = 2m", sampled_to=3),
        LAYERS,
        DECAY,
        ETA,
        ROOT,
        Parameter(critical_scale.kappa, POSITIVE, "2^(2/(L+1))"),
        Parameter(critical_scale.x, POSITIVE, "e^beta - 1"),
        *GRADIENT,
    ),
    (critical_scale.d >= 2 * critical_scale.m,),
)
pairs_scale_setting = critical_scale.setting(pairs_gradient, PAIRS_SCALE_DOMAIN.ranges)

single_class = critical_scale.SingleClass()
SINGLE_DOMAIN = Domain(
    (
        FEW_CLASSES,
        SIZE,
        DIMENSION,
        DECAY,
        Parameter(critical_scale.root, POSITIVE, "singular value of the last layer, for the single class"),
        Parameter(critical_scale.above, POSITIVE, "singular value of its features, over n^(1/2)"),
        Parameter(critical_scale.epsilon, POSITIVE, "softmax of the single class for another one"),
    ),
    (critical_scale.d >= critical_scale.K,),
)
single_setting = single_class.setting(SINGLE_DOMAIN.ranges)

# ---- predictions
K_INPUT = Input("K", integers(2), "number of classes")
L_INPUT = Input("L", integers(1), "number of weight layers")
N_INPUT = Input("n", integers(1), "samples a class", default=1)
LAM_INPUT = Input("lam", POSITIVE, "decay of every factor")
INPUTS = (K_INPUT, L_INPUT, N_INPUT, LAM_INPUT)
MOST_CLASSES, MOST_LAYERS = 10**9, 10**6


def check_size(values: Mapping[str, Any]) -> None:
    """ValueError beyond the classes and layers for which ball arithmetic was tried."""
    for name, most in (("K", MOST_CLASSES), ("L", MOST_LAYERS)):
        if values[name] > most:
            raise ValueError(f"{name}: expected at most {most}, got {values[name]}")


def scaled(structure: logit_scale.Structure, values: Mapping[str, Any]) -> logit_scale.Scaled:
    check_size(values)
    return logit_scale.Scaled(structure, values["L"], values["n"], values["lam"])


def numbers(found: Mapping[str, Any], digits: int | None) -> dict[str, Any]:
    """Functions of a precision in bits, or exact numbers, as floats or as correctly rounded decimals."""
    import flint

    def ends(number: Any) -> tuple[Fraction, Fraction]:
        if isinstance(number, Fraction):
            return number, number
        return fraction(flint.arb(number.lower())), fraction(flint.arb(number.upper()))

    def enclosures(bits: int) -> dict[str, Any]:
        with flint.ctx.workprec(bits + 64):
            values = {name: value(bits) for name, value in found.items()}
            return {
                name: [ends(each) for each in value] if isinstance(value, list) else ends(value)
                for name, value in values.items()
            }

    if digits is not None:
        return rounded_all(enclosures, digits)
    given = enclosures(logit_scale.WORKING)
    return {
        name: [to_float(name, one[0]) for one in value] if isinstance(value, list) else to_float(name, value[0])
        for name, value in given.items()
    }


def exact_or(scale: Any) -> Any:
    return Fraction(0) if scale == 0 else scale


def predict_loss(structure: logit_scale.Structure, name: str, values: Mapping[str, Any], digits: int | None) -> Any:
    loss = scaled(structure, values)
    if name in values:
        at = values[name]
        return numbers({"loss": lambda bits: loss.loss(logit_scale.ball(at)), name: lambda bits: at}, digits)
    return numbers({"loss": lambda bits: loss.best(bits)[1], name: lambda bits: exact_or(loss.best(bits)[0])}, digits)


def predict_simplex(values: Mapping[str, Any], digits: int | None) -> dict[str, Any]:
    return predict_loss(logit_scale.simplex(values["K"]), "alpha", values, digits)


def predict_pairs(values: Mapping[str, Any], digits: int | None) -> dict[str, Any]:
    return predict_loss(logit_scale.pairs(values["K"]), "beta", values, digits)


def predict_simplex_scale(values: Mapping[str, Any], digits: int | None) -> dict[str, Any]:
    loss = scaled(logit_scale.simplex(values["K"]), values)

    def largest(bits: int) -> Any:
        low, high = optimality.largest_decay(values["K"], values["L"], values["n"], bits)
        return low if low == high else logit_scale.ball(low).union(logit_scale.ball(high))

    return numbers({"alpha": loss.critical, "largest_lam": largest}, digits)


def predict_pairs_scale(values: Mapping[str, Any], digits: int | None) -> dict[str, Any]:
    if values["K"] % 2 or values["K"] < 4:
        raise ValueError(f"K (number of classes): expected an even number from 4, got {values['K']}")
    return numbers({"beta": scaled(logit_scale.pairs(values["K"]), values).critical}, digits)


def predict_suboptimal(values: Mapping[str, Any], digits: int | None) -> dict[str, Any]:
    """The decision, which rests on certified comparison whatever the digits."""
    classes, depth, per_class = values["K"], values["L"], values["n"]
    check_size(values)
    if "lam" in values:
        found = optimality.decide(classes, depth, per_class, values["lam"])
        return {"suboptimal": found.suboptimal, "witness_rank": found.rank, "witness": found.witness}
    found, ranges = optimality.all_decays(classes, depth, per_class)
    listed = [
        {
            "low": each.low,
            "high": each.high,
            "suboptimal": each.decision.suboptimal,
            "witness_rank": each.decision.rank,
            "witness": each.decision.witness,
        }
        for each in ranges
    ]
    return {"suboptimal": found.suboptimal, "witness_rank": found.rank, "lam_ranges": listed}


SUBOPTIMAL_INPUTS = (K_INPUT, L_INPUT, N_INPUT, Input("lam", POSITIVE, "decay of every factor", optional=True))


# ---- simulation
def simplex_logits(classes: int) -> Tensor:
    import torch

    return torch.eye(classes, dtype=torch.float64) - 1 / classes


def simulate_simplex(values: Mapping[str, Any], seed: int) -> Comparison:
    """The objective of the model at explicit factors beside the formula."""
    classes, depth, per_class, scale = values["K"], values["L"], values["n"], values["alpha"]
    model = model_of(classes, per_class, values["d"], depth, values["lambda"])
    point = balanced_factors(scale * simplex_logits(classes), per_class, values["d"], depth, seed)
    formula = logit_scale.Scaled(logit_scale.simplex(classes), depth, per_class, Fraction(values["lambda"]))
    theoretical = float(formula.loss(logit_scale.ball(Fraction(scale))))
    return Comparison([float(model.objective(point))], [theoretical], 1e-11 * max(1.0, theoretical))


def simulate_pairs(values: Mapping[str, Any], seed: int) -> Comparison:
    from ...numerics.low_rank import paired

    depth, per_class, scale = values["L"], values["n"], values["beta"]
    classes = 2 * values["m"] + values["delta"]
    single = Fraction(values["gamma"]) / Fraction(scale)
    model = model_of(classes, per_class, values["d"], depth, values["lambda"])
    point = balanced_factors(scale * paired(classes, float(single)), per_class, values["d"], depth, seed)
    structure = logit_scale.pairs(classes, single=single) if classes > 2 else logit_scale.pairs(classes)
    formula = logit_scale.Scaled(structure, depth, per_class, Fraction(values["lambda"]))
    theoretical = float(formula.loss(logit_scale.ball(Fraction(scale))))
    return Comparison([float(model.objective(point))], [theoretical], 1e-11 * max(1.0, theoretical))


def gradient_at(logits: Tensor, depth: int, per_class: int, decay: float, seed: int) -> tuple[float, float]:
    """Norm of the gradient of the model at balanced factors, and of that of its decay terms."""
    import torch

    classes = logits.shape[-1]
    model = model_of(classes, per_class, classes + 1, depth, decay)
    point = balanced_factors(logits, per_class, classes + 1, depth, seed).map(lambda x: x.requires_grad_())
    gradients = torch.autograd.grad(model.objective(point), point.tensors)
    norm = sum(float(each.square().sum()) for each in gradients) ** 0.5
    size = sum(float(each.detach().square().sum()) for each in point.tensors) ** 0.5
    return norm, decay * size


def relative_gradient(logits: Tensor, depth: int, per_class: int, decay: float, seed: int) -> float:
    norm, size = gradient_at(logits, depth, per_class, decay, seed)
    return norm / size


def simulate_simplex_scale(values: Mapping[str, Any], seed: int) -> Comparison:
    """At the lam of the formula the gradient of the whole model vanishes at neural collapse."""
    classes, depth, per_class = values["K"], values["L"], 1 + seed % 4
    scale = min(values["alpha"], 6.0)
    decay = scale ** ((depth - 1) / (depth + 1)) / (math.exp(scale) + classes - 1) / per_class ** (1 / (depth + 1))
    return Comparison([relative_gradient(scale * simplex_logits(classes), depth, per_class, decay, seed)], [0.0], 1e-9)


def simulate_pairs_scale(values: Mapping[str, Any], seed: int) -> Comparison:
    """At the lam of the formula the gradient of the whole model vanishes at the paired structure, K = 2m."""
    from ...numerics.low_rank import paired

    classes, depth, per_class = 2 * values["m"], values["L"], 1 + seed % 4
    scale = min(math.log1p(values["x"]), 6.0)
    power = math.exp(scale)
    mean = (2 + (classes - 2) * power) / (power**2 + (classes - 2) * power + 1)
    root, half = 1 / (depth + 1), values["m"]
    decay = scale ** ((depth - 1) * root) * mean / (half * 4**root * per_class**root)
    return Comparison([relative_gradient(scale * paired(classes), depth, per_class, decay, seed)], [0.0], 1e-9)


def simulate_single(values: Mapping[str, Any], seed: int) -> Comparison:
    """Norm of the gradient of the model at pairs and a single class beside the entry, at any scale, depth and decay."""
    from ...numerics.low_rank import paired

    classes, depth, per_class = 3 + 2 * (values["K"] % 2), 1 + seed % 3, values["n"]
    scale = min(values["s"], 6.0)
    norm, _ = gradient_at(scale * paired(classes), depth, per_class, values["lambda"], seed)
    features = (scale * per_class**0.5) ** (depth / (depth + 1)) / per_class**0.5
    return Comparison([norm], [features / (math.exp(scale) + classes - 1) / classes], 1e-12)


CLAIMS = (
    Claim(
        "garrod2025/dnc-loss",
        "The loss of neural collapse: log(1 + (K-1) e^(-alpha)) + (lam/2) (L+1) (K-1) (alpha n^(1/2))^(2/(L+1))",
        Kind.IDENTITY,
        simplex.statement,
        simplex_setting,
        SIMPLEX_DOMAIN,
        lambda: low_rank.balanced_loss(simplex, simplex_setting),
        simulate_simplex,
        Verdict.PROVED,
        version=VERSION,
        locator="proof of Theorem 1",
        notes="The factors are s P Q^T and the like, with P^T P = Q^T Q = I - 1 1^T / K; s^(L+1) = alpha n^(1/2), so "
        "that s^2 = (alpha n^(1/2))^(2/(L+1)). Their product is alpha (I - 1 1^T / K) Y, each has the squared norm "
        "(K-1) s^2, and the right logit exceeds every other by alpha. The unit vectors k and j are two classes.",
        predict=Prediction((*INPUTS, Input("alpha", POSITIVE, "scale", optional=True)), predict_simplex),
    ),
    Claim(
        "garrod2025/paired-loss",
        "The loss of the paired structure, for even and odd K",
        Kind.IDENTITY,
        pairs.statement,
        pairs_setting,
        PAIRS_DOMAIN,
        lambda: low_rank.balanced_loss(pairs, pairs_setting),
        simulate_pairs,
        Verdict.PROVED,
        version=VERSION,
        locator="proof of Theorem 1",
        notes="F has the blocks [[1, -1], [-1, 1]] / 2 of the m pairs, G is e e^T for the class that is single if K "
        "is odd, and zero, with e = 0, if K is even; delta = K - 2m. s^(L+1) = 2 beta n^(1/2), u^(L+1) = gamma "
        "n^(1/2). The paper has one scale, gamma = beta. The unit vectors k and p are a pair, j is another class.",
        predict=Prediction((*INPUTS, Input("beta", POSITIVE, "scale", optional=True)), predict_pairs),
    ),
    Claim(
        "garrod2025/dnc-scale",
        "Neural collapse is critical iff lam n^(1/(L+1)) = alpha^((L-1)/(L+1)) / (e^alpha + K - 1)",
        Kind.IDENTITY,
        critical_scale.collapse_statement(),
        scale_setting,
        SCALE_DOMAIN,
        lambda: critical_scale.collapse_scale(scale_setting),
        simulate_simplex_scale,
        Verdict.PROVED,
        version=VERSION,
        locator="eq. (19)",
        notes="The gradient in a factor is (lam - c b omega epsilon / s) times the factor, with c b = s^L, s^(L+1) = "
        "alpha n^(1/2) and epsilon = 1/(e^alpha + K - 1): it vanishes at the lam of the title. Of cross-entropy the "
        "gradient in the logits, -epsilon E Y / n, is used, E = I - 1 1^T / K. In terms of r, alpha = r^(L+1), the "
        "loss along the scale has the slope that is stated. With q = (L-1)/(L+1), alpha h' = h (q - psi), and psi "
        "increases from 0 to more than 1 at alpha = K. So for L >= 2 there are two solutions below a largest lam, "
        "one at it and none beyond; it belongs to alpha = q + W(q (K-1) e^(-q)), W being Lambert's function. For L = "
        "1 there is one solution if lam n^(1/2) < 1/K and else none. The larger solution has lam n^(1/(L+1)) between "
        "alpha^q e^(-alpha) / K and alpha^q e^(-alpha), so alpha ~ -log lam.",
        predict=Prediction(INPUTS, predict_simplex_scale),
    ),
    Claim(
        "garrod2025/paired-scale",
        "The paired structure, K = 2m >= 4, is critical at none, one or two scales, the larger like -log lam",
        Kind.IDENTITY,
        critical_scale.pairs_statement(),
        pairs_scale_setting,
        PAIRS_SCALE_DOMAIN,
        lambda: critical_scale.pairs_scale(pairs_scale_setting),
        simulate_pairs_scale,
        Verdict.PROVED,
        version=VERSION,
        locator="eq. (27)",
        notes="beta = r^(L+1) and e^beta = 1 + x: critical iff lam n^(1/(L+1)) m 2^(2/(L+1)) = beta^((L-1)/(L+1)) R, "
        "with R = (2 + (K-2) e^beta) / (e^(2 beta) + (K-2) e^beta + 1), by the slope along the scale; and the "
        "gradient in every factor is (lam - c b omega epsilon / s) times the factor, epsilon = R/K, c b = s^L. The "
        "elasticity of R is -beta times an increasing function that is positive, so that there are two solutions "
        "below a largest lam for L >= 2, and for L = 1 one if lam n^(1/2) < 1/K. R lies between e^(-beta) and (K-2) "
        "e^(-beta). For odd K the structure is never critical: see tightframe/odd-pairs.",
        predict=Prediction(INPUTS, predict_pairs_scale),
    ),
)

ODD_PAIRS = Claim(
    "tightframe/odd-pairs",
    "For odd K the paired structure is never critical, at any scales, depth and decay",
    Kind.LOWER,
    single_class.statement,
    single_setting,
    SINGLE_DOMAIN,
    lambda: critical_scale.never_critical(single_class, single_setting),
    simulate_single,
    Verdict.PROVED,
    notes="Completes garrod2025/paired-scale, which speaks of even K. e is the unit vector of the class that is "
    "single, and p its direction in the features of the last layer. Its softmax is w = 1/(e^gamma + K - 1) for every "
    "other class j, so the gradient in W_L has the entry c w / K > 0 at j and p, where W_L, and with it the decay, "
    "is zero. So the structure is a witness against neural collapse for odd K, but no minimum itself.",
)
