"""Cross-entropy in dang2023, appendix A: is every global minimiser of a deep linear model a simplex ETF?"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

import sympy as sp

from ...theory import cross_entropy
from ...theory.derivation import Setting
from ...theory.symbols import reals
from ..claim import Claim
from ..domain import Domain, Parameter
from ..evidence import Comparison, Kind, Verdict
from .critical_points import VERSION

DECAY = sp.Rational(1, 100)
TWO_LAYERS = cross_entropy.FourClasses(2, 5, DECAY, sp.Rational(121, 500), sp.Integer(2))
THREE_LAYERS = cross_entropy.FourClasses(3, 5, DECAY, sp.Rational(11, 50), sp.Rational(7, 4))
MODELS = (TWO_LAYERS, THREE_LAYERS)
SCHATTEN = ("variational form of the Schatten quasi-norm",)

ROOTS = tuple(
    Parameter(sp.Symbol(name, nonnegative=True), reals(0), f"cube root of the {says} eigenvalue of the logits")
    for name, says in (("a", "first"), ("b", "second"), ("c", "third"))
)
DOMAIN = Domain(ROOTS)
SYMBOLS = tuple(parameter.symbol for parameter in ROOTS)
# a square: eigenvalues 8, 8, 0
setting = Setting(DOMAIN.ranges, (), lambda rng: dict(zip(SYMBOLS, TWO_LAYERS.square, strict=True)))

ETF_ROOT = Parameter(sp.Symbol("a", nonnegative=True), reals(0), "root of the eigenvalue of an ETF, of order M + 1")
ETF_DOMAIN = Domain((ETF_ROOT,))


def _sample(rng: random.Random) -> Any:
    return {ETF_ROOT.symbol: sp.Rational(rng.randint(0, 16), 4)}


etf_setting = Setting(ETF_DOMAIN.ranges, (), _sample)


def simulate(values: Mapping[str, Any], seed: int) -> Comparison:
    """f of the model itself: at unbalanced factors of an ETF, and, negated, at balanced ones of the square."""
    import torch

    from ...numerics.deep_linear import DeepLinearUFM, Factors
    from ...numerics.frames import partial_isometry

    model_of = MODELS[seed % len(MODELS)]
    depth, count = model_of.depth, cross_entropy.CLASSES
    model = DeepLinearUFM((model_of.per_class,) * count, count, depth, float(model_of.decay), bias=True, loss="ce")
    axes = torch.tensor([[1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]], dtype=torch.float64).mT / 2
    rng = random.Random(seed)

    def objective(roots: tuple[float, ...], shifts: list[float]) -> float:
        """Layer m has e^shift times the size of a balanced one, and the features make up for all."""
        values = torch.tensor(roots, dtype=torch.float64) * model_of.per_class ** (1 / (2 * depth + 2))
        inner = [partial_isometry(count, 3, seed + m) for m in range(depth)]
        weights = [
            math.exp(shift) * left * values @ right.mT
            for left, right, shift in zip([*inner[1:], axes], inner, shifts, strict=True)
        ]
        means = math.exp(-sum(shifts)) * inner[0] * values @ axes.mT / model_of.per_class**0.5
        return float(model.objective(Factors(tuple(weights), means, torch.zeros(count, 1, dtype=torch.float64))))

    etf = (values["a"],) * 3
    measured = [objective(etf, [rng.gauss(0, 0.3) for _ in range(depth)])]
    measured.append(-objective(tuple(map(float, model_of.square)), [0.0] * depth))
    theoretical = [float(model_of.objective(etf)), -float(model_of.objective(model_of.square))]
    return Comparison(measured, theoretical, 1e-12 * max(1.0, abs(theoretical[0])))


CLAIMS = (
    Claim(
        "dang2023/ce-deep-etf",
        "With cross-entropy, balanced classes and a free bias, every global minimiser is aligned with a simplex ETF",
        Kind.LOWER,
        TWO_LAYERS.exceeds(SYMBOLS),
        setting,
        DOMAIN,
        recorded=Verdict.REFUTED,
        version=VERSION,
        locator="appendix A, Theorem A.1",
        notes="The statement is what the claim says of one case: M = 2, K = 4, n = 5 samples a class, all decays 0.01, "
        "and logits with eigenvalues a^3, b^3, c^3 on the eigenvectors (1,1,-1,-1)/2, (1,-1,1,-1)/2, (1,-1,-1,1)/2; "
        "a = b = c is an ETF. Every ETF has f above 0.242, whatever its scale (tightframe/ce-lower-rank; a bias does "
        "not help there, as f is convex in it and the classes are alike), so by the claim all of these have. Refuted "
        "by a = b = 2, c = 0, a square, with f < 0.2415. Minimisation finds 0.240578 at rank two, and 0.242497 at the "
        "best ETF. For M = 1 minimisation finds an ETF, as is known for one layer (Zhu et al. 2021). See also "
        "garrod2025, where lower rank is shown to beat the ETF.",
    ),
)

LOWER_RANK = Claim(
    "tightframe/ce-lower-rank",
    "With cross-entropy and two or three layers a square has less f than any simplex ETF",
    Kind.LOWER,
    cross_entropy.statement(MODELS, ETF_ROOT.symbol),
    etf_setting,
    ETF_DOMAIN,
    lambda: cross_entropy.lower_rank_wins(MODELS, ETF_ROOT.symbol, etf_setting),
    simulate,
    Verdict.PROVED,
    corrects="dang2023/ce-deep-etf",
    notes="K = 4, n = 5, all decays 0.01: for M = 2, then for M = 3. An ETF of logits a^(M+1) (I - 1 1^T/4) has f of "
    "at least the left side, by the lemma; the square, of logits with eigenvalues 8, 8, 0 (M = 2) or (7/4)^4, "
    "(7/4)^4, 0 (M = 3), attains the right side with balanced factors. The bias is zero: at an ETF f is convex in it "
    "and symmetric in the classes.",
    lemmas=SCHATTEN,
)
