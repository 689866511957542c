"""The geometry of the product of all layers is that of every partial product, from above and from below.

At a minimiser W_M W_M^T = sigma P and H = (p + N lam_H)^{-1} W^T Y with a projection P (I, or I - 1 1^T/K with a bias),
W W^T = p P, W 1 = 0 where P 1 = 0. Layers are balanced: lam_{m+1} W_{m+1}^T W_{m+1} = lam_m W_m W_m^T. Write U for
W_M ... W_{m+2}, C for W_{m+1} and B for W_m (U = P at the top). Then, from one layer to the next,

    U C C^T = tau U,  (U C)(U C)^T = c P    give    U C B B^T = tau' U C,  (U C B)(U C B)^T = tau' c P,

tau' = tau lam_{m+1}/lam_m. So (W_M ... W_m)(W_M ... W_m)^T is a multiple of P for every m, and by the same argument
from below so is the Gram matrix of the class means of W_{m-1} ... W_1 H (Dang et al. 2023).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from .balance import K, half_integers, orthonormal, rows_of
from .derivation import Derivation, Hypothesis, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import Conjunction, Gram, NormZero, Shift, Square, Star
from .proof.statement import AllOf, Equal, PositiveDefinite, PositiveSemidefinite, Statement
from .symbols import frobenius_squared, n

a, c, d, e, g = (sp.Symbol(name, integer=True, positive=True) for name in "acdeg")
N = K * n
lam_A, lam_B, lam_H = (sp.Symbol(f"lambda_{name}", positive=True) for name in "ABH")
sigma, p = (sp.Symbol(name, positive=True) for name in ("sigma", "p"))
tau_A, tau_B, s_A, s_B = (sp.Symbol(name, positive=True) for name in ("tau_A", "tau_B", "s_A", "s_B"))
SIZES = {
    a: "columns of the last layer",
    c: "rows of the upper of two layers",
    e: "columns of it",
    g: "columns of the lower one",
    d: "dimension of the features",
}
SCALARS = {
    sigma: "eigenvalue of W_M W_M^T",
    p: "eigenvalue of W W^T",
    lam_A: "decay of the upper layer",
    lam_B: "decay of the lower layer",
    tau_A: "eigenvalue of A A^T on the product above",
    tau_B: "eigenvalue of B^T B on the means below",
    s_A: "eigenvalue of the product from above",
    s_B: "eigenvalue of the means from below",
}
INDUCTION = ("induction over the layers",)
P = sp.MatrixSymbol("P", K, K)
Y = sp.MatrixSymbol("Y", K, N)
TOP = sp.MatrixSymbol("V", K, a)  # W_M
WEIGHTS, FEATURES = sp.MatrixSymbol("W", K, d), sp.MatrixSymbol("H", d, N)
ABOVE, UPPER, LOWER = sp.MatrixSymbol("U", K, c), sp.MatrixSymbol("A", c, e), sp.MatrixSymbol("B", e, g)
# from below: class means G (g x K), and layers B above them and A above B
MEANS = sp.MatrixSymbol("G", g, K)


@dataclass(frozen=True)
class Layers:
    """Both ends, where the induction over the layers starts, and its steps from above and from below."""

    @property
    def means(self) -> Any:
        """Hbar, the class means of H."""
        return FEATURES * Y.T / n

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        slope = WEIGHTS.T * (WEIGHTS * FEATURES - P * Y) / N + lam_H * FEATURES
        return (
            Hypothesis("projection", Equal(P * P, P), "I, or I - 1 1^T/K with a bias"),
            Hypothesis("equal classes", Equal(Y * Y.T, n * sp.Identity(K)), "one-hot labels, n of each class"),
            Hypothesis("last layer", Equal(TOP * TOP.T, sigma * P), "balanced-of, balanced-etf"),
            Hypothesis("product", Equal(WEIGHTS * WEIGHTS.T, p * P), "balanced-of, balanced-etf"),
            Hypothesis("critical in H", Equal(slope, sp.ZeroMatrix(d, N)), "the gradient vanishes; labels are P Y"),
            Hypothesis(
                "balance", Equal(lam_A * UPPER.T * UPPER, lam_B * LOWER * LOWER.T), "balancedness, of W_(m+1) and W_m"
            ),
            Hypothesis("above: action", Equal(ABOVE * UPPER * UPPER.T, tau_A * ABOVE), "from the layer before"),
            Hypothesis("above", Equal(ABOVE * UPPER * UPPER.T * ABOVE.T, s_A * P), "from the layer before"),
            Hypothesis("below: action", Equal(LOWER.T * LOWER * MEANS, tau_B * MEANS), "from the layer before"),
            Hypothesis("below", Equal(MEANS.T * LOWER.T * LOWER * MEANS, s_B * P), "from the layer before"),
        )

    @property
    def starts(self) -> dict[str, Statement]:
        """U = P and A = W_M; G = Hbar, and H in the place of B."""
        means, share = self.means, p / (p + N * lam_H) ** 2
        return {
            "top: kept": Equal(P * TOP, TOP),
            "top: action": Equal(P * TOP * TOP.T, sigma * P),
            "bottom: collapse": Equal(FEATURES, means * Y),
            "bottom: means": Equal(means, WEIGHTS.T / (p + N * lam_H)),
            "bottom: Gram matrix": Equal(means.T * means, share * P),
            "bottom: action": Equal(FEATURES * FEATURES.T * means, n * share * means),
        }

    @property
    def successors(self) -> dict[str, Statement]:
        """What holds of the next layer."""
        upper, lower = ABOVE * UPPER * LOWER, UPPER * LOWER * MEANS
        up, down = lam_A / lam_B * tau_A, lam_B / lam_A * tau_B
        return {
            "above: next action": Equal(upper * LOWER.T, up * ABOVE * UPPER),
            "above: next": Equal(upper * upper.T, up * s_A * P),
            "below: next action": Equal(UPPER.T * lower, down * LOWER * MEANS),
            "below: next": Equal(lower.T * lower, down * s_B * P),
        }

    @property
    def statement(self) -> AllOf:
        return AllOf((*self.starts.values(), *self.successors.values()))

    def setting(self, parameters: Mapping[sp.Symbol, Range]) -> Setting:
        """Exact examples: partial isometries in random bases."""

        def sample(rng: random.Random) -> Values:
            classes, count, lost = rng.randint(2, 3), rng.randint(1, 2), rng.randint(0, 1)
            alive, samples = classes - lost, classes * count
            basis = sp.Matrix(orthonormal(rng, classes, classes)[:, lost:])
            sizes = {size: alive + rng.randint(0, 1) for size in (a, c, d, e, g)}
            inner = {size: orthonormal(rng, width, alive) for size, width in sizes.items()}
            top, whole, upper, lower, first, last, ridge, balance = half_integers(rng, 8)
            labels = sp.Matrix.hstack(*[sp.eye(classes)] * count) * orthonormal(rng, samples, samples)
            weights = whole * basis * inner[d].T
            decay = ridge / samples
            matrices = {
                P: basis * basis.T,
                Y: labels,
                TOP: top * basis * inner[a].T,
                WEIGHTS: weights,
                FEATURES: weights.T * labels / (whole**2 + ridge),
                ABOVE: first * basis * inner[c].T,
                UPPER: upper * inner[c] * inner[e].T,
                LOWER: lower * inner[e] * inner[g].T,
                MEANS: last * inner[g] * basis.T,
            }
            values: dict[Any, Any] = {**sizes, K: classes, n: count, lam_H: decay, sigma: top**2, p: whole**2}
            values |= {tau_A: upper**2, s_A: (first * upper) ** 2, tau_B: lower**2, s_B: (last * lower) ** 2}
            values |= {lam_A: balance * lower**2, lam_B: balance * upper**2}
            return values | {name: rows_of(matrix) for name, matrix in matrices.items()}

        return Setting(parameters, self.hypotheses, sample, (P,))


def _kept(name: str, matrix: sp.MatrixSymbol, square: str) -> tuple[Step, ...]:
    """P X = X, from X X^T being a multiple of P."""
    lost = (sp.Identity(K) - P) * matrix
    zero = sp.ZeroMatrix(*matrix.shape)
    return (
        Step(
            f"{name}: length of what is lost",
            Equal(frobenius_squared(lost), sp.S.Zero),
            "(I - P) P (I - P) = 0.",
            Star((square, "projection")),
        ),
        Step(
            f"{name}: nothing is lost",
            Equal(lost, zero),
            "A vanishing norm.",
            NormZero(f"{name}: length of what is lost", (Square(1, lost),)),
        ),
        Step(f"{name}: kept", Equal(P * matrix, matrix), "The same.", Star((f"{name}: nothing is lost",))),
    )


def induction(layers: Layers, where: Setting) -> Derivation:
    """Both ends and both steps."""
    starts, successors = layers.starts, layers.successors
    ridge, above, below = p + N * lam_H, ("above: action", "above", "balance"), ("below: action", "below", "balance")
    gram, unit = WEIGHTS.T * WEIGHTS, N * lam_H * sp.Identity(d)
    inverse = (gram + unit).inv()
    steps = (
        *_kept("top", TOP, "last layer"),
        Step("top: action", starts["top: action"], "P^2 = P.", Star(("last layer", "projection"))),
        *_kept("bottom", WEIGHTS, "product"),
        Step("bottom: gram", PositiveSemidefinite(gram), "A Gram matrix.", Gram((Square(1, WEIGHTS.T),))),
        Step(
            "bottom: metric",
            PositiveDefinite(gram + unit),
            "A psd matrix plus a positive multiple of I.",
            Shift("bottom: gram", N * lam_H),
        ),
        Step(
            "bottom: ridge",
            Equal(FEATURES, inverse * WEIGHTS.T * P * Y),
            "Solve the linear equation for H.",
            Star(("critical in H",)),
        ),
        Step(
            "bottom: eigenvalue",
            Equal((gram + unit) * WEIGHTS.T / ridge, WEIGHTS.T),
            "Insert W W^T.",
            Star(("product", "bottom: kept")),
        ),
        Step(
            "bottom: inverse",
            Equal(inverse * WEIGHTS.T, WEIGHTS.T / ridge),
            "Multiply by the inverse.",
            Star(("bottom: eigenvalue",)),
        ),
        Step(
            "bottom: features",
            Equal(FEATURES, WEIGHTS.T * Y / ridge),
            "Insert it.",
            Star(("bottom: ridge", "bottom: inverse", "bottom: kept")),
        ),
        Step(
            "bottom: collapse",
            starts["bottom: collapse"],
            "Y^T Y / n keeps W^T Y.",
            Star(("bottom: features", "equal classes")),
        ),
        Step(
            "bottom: means",
            starts["bottom: means"],
            "Multiply by Y^T / n.",
            Star(("bottom: features", "equal classes")),
        ),
        Step("bottom: Gram matrix", starts["bottom: Gram matrix"], "Insert W W^T.", Star(("bottom: means", "product"))),
        Step(
            "bottom: action",
            starts["bottom: action"],
            "Insert both.",
            Star(("bottom: features", "bottom: means", "equal classes", "product", "bottom: kept")),
        ),
        *(
            Step(
                name, says, "Insert the balance of the two layers.", Star(above if name.startswith("above") else below)
            )
            for name, says in successors.items()
        ),
        Step("together", layers.statement, "The parts.", Conjunction((*starts, *successors))),
    )
    return Derivation("Every partial product has the geometry of the whole", where, steps)
