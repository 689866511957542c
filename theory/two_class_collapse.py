"""Two classes in deep linear models with cross-entropy: no point is better than neural collapse of its own scale.

With two classes the loss of a sample depends on its gap g alone, the right logit less the other one, as log(1 + e^-g).
Let alpha^2 > 0 be the mean of g^2 over all 2n samples. Neural collapse of the scale alpha has

- no more cross-entropy: as a function of g, log(1 + e^-g) + c g^2 with c = 1 / (2 alpha (1 + e^alpha)) is least at g =
  alpha; of its mean over all samples the second term is that of neural collapse;
- no more decay: with e = (1, -1)^T the gaps are, up to signs, the row e^T Z, so that 2 n alpha^2 = ||e^T Z||^2 is at
  most 2 ||W_L||^2 ... ||W_1||^2 ||H_1||^2 by Cauchy and Schwarz, one factor after the other. With rho^(L+1) = n alpha^2
  every square f is at least rho + rho log(f/rho), least at f = rho; the sum of the L + 1 of them is at least (L+1) rho.

No lemma on singular values is needed: of logits of rank one, the Schatten reduction is this chain.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import sympy as sp

from .balance import half_integers, rows_of
from .derivation import Derivation, Hypothesis, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import Conjunction, Field, Monotone, Star
from .proof.statement import AllOf, Equal, Identity, Increasing
from .statistics import random_matrix
from .symbols import frobenius_squared, n

L = sp.Symbol("L", integer=True, positive=True)
lam = sp.Symbol("lambda", positive=True)
alpha = sp.Symbol("alpha", positive=True)
g = sp.Symbol("g", positive=True)
y = sp.Symbol("y", nonnegative=True)
f = sp.Symbol("f", positive=True)
rho = sp.Symbol("rho", positive=True)
q = sp.Symbol("q", positive=True)  # ||u||^2
a, b = sp.Symbol("a", integer=True, positive=True), sp.Symbol("b", integer=True, positive=True)
u, A = sp.MatrixSymbol("u", 1, a), sp.MatrixSymbol("A", a, b)


def balance(gap: Any) -> sp.Expr:
    """g (1 + e^g): of two gaps the larger has more.

    Examples:
        >>> balance(sp.S.Zero), balance(sp.S.One)
        (0, 1 + E)
    """
    return gap * (1 + sp.exp(gap))


def _cost(loss: sp.Expr, gap: sp.Expr) -> sp.Expr:
    """The loss with c g^2."""
    return loss + gap**2 / (2 * balance(alpha))


def positive_gaps() -> tuple[Identity, Increasing]:
    """The slope of log(1 + e^-g) + c g^2 has the sign of g (1 + e^g) - alpha (1 + e^alpha).

    Examples:
        >>> positive_gaps()[0].right.subs(g, alpha)
        0
    """
    cost = _cost(sp.log(1 + sp.exp(g)) - g, g)
    slope = (balance(g) - balance(alpha)) / (balance(alpha) * (1 + sp.exp(g)))
    return Identity(sp.Derivative(cost, g), slope, g), Increasing(balance(g), g)


def negative_gaps() -> Increasing:
    """At g = -y it grows with y from g = 0 on.

    Examples:
        >>> negative_gaps().expression.subs(y, 0)
        log(2)
    """
    return Increasing(_cost(sp.log(1 + sp.exp(y)), y), y)


def one_factor_more() -> Equal:
    """q (q ||A||^2 - ||u A||^2) is a square, q = ||u||^2."""
    apart = q * A - u.T * u * A
    return Equal(frobenius_squared(apart), q * (q * frobenius_squared(A) - frobenius_squared(u * A)))


def least_square() -> Identity:
    """f - rho log f is least at f = rho.

    Examples:
        >>> least_square().right
        (f - rho)/f
    """
    return Identity(sp.Derivative(f - rho * sp.log(f), f), (f - rho) / f, f)


def statement() -> AllOf:
    return AllOf((*positive_gaps(), negative_gaps(), one_factor_more(), least_square()))


def setting(parameters: Mapping[sp.Symbol, Range]) -> Setting:
    def sample(rng: random.Random) -> Values:
        rows, columns = rng.randint(1, 3), rng.randint(1, 2)
        row = sp.Matrix([[rng.choice((-1, 1)) * rng.randint(1, 2) for _ in range(rows)]])
        values: dict[Any, Any] = {a: rows, b: columns, q: (row * row.T)[0], u: rows_of(row)}
        values |= dict(zip((alpha, g, y, f, rho, lam), half_integers(rng, 6), strict=True))
        values |= {L: rng.randint(1, 3), n: rng.randint(1, 3)}
        return values | {A: random_matrix(rng, rows, columns)}

    return Setting(parameters, (Hypothesis("row", Equal(frobenius_squared(u), q), "u = e^T W_L ... W_(m+1)"),), sample)


def collapse_is_optimal(where: Setting) -> Derivation:
    slope, grows = positive_gaps()
    names = ("slope", "larger gaps", "negative gaps", "one factor more", "squares")
    return Derivation(
        "Two classes: neural collapse of the mean squared gap is at least as good",
        where,
        (
            Step("slope", slope, "Differentiate.", Field()),
            Step("larger gaps", grows, "Both factors grow.", Monotone()),
            Step("negative gaps", negative_gaps(), "Both terms grow.", Monotone()),
            Step("one factor more", one_factor_more(), "u u^T = q.", Star(("row",))),
            Step("squares", least_square(), "Differentiate.", Field()),
            Step("together", statement(), "The parts.", Conjunction(names)),
        ),
    )
