"""Three classes: of all logits with gaps of at least one, neural collapse has the least decay, at every depth.

Let z_k, k = 1, 2, 3, be the mean logits of class k less their mean, and g_kj the gap of class j in column k. The
product of the two singular values of (z_1, z_2, z_3) squared is the sum of the squared areas of two columns each
(Cauchy and Binet), and the area of z_1 and z_2 is M_12 / 3^(1/2) with

    M_12 = g_12 g_23 + g_13 g_21 - g_12 g_21,

up to its sign, and so on. If all gaps are at least one, M_12^2 + M_13^2 + M_23^2 is at least 3, as for neural collapse:

- M_12 >= 1 unless 1 and 2 are each other's far class, g_12 > g_13 and g_21 > g_23; that is so of one pair at most;
- of that pair, with a = g_12 and c = g_21, M_13 >= a and M_23 >= c. If a^2 + c^2 < 3 then (a-1)(c-1) < 1, so that
  M_12 >= a + c - a c > 0, and a^2 + c^2 + (a + c - a c)^2 >= 3.

So s t >= 1 for the singular values, and s^p + t^p >= 2 (s t)^(p/2) >= 2, which is what neural collapse has.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import sympy as sp

from .derivation import Derivation, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import Conjunction, Poly, Star
from .proof.statement import AllOf, Equal, Nonnegative

L = sp.Symbol("L", integer=True, positive=True)
a, b, c, d = sp.symbols("a b c d", positive=True)  # g_12, g_13, g_21, g_23
x, y, z, h, u, v = sp.symbols("x y z h u v", nonnegative=True)  # by how much gaps exceed one, or each other


def minor(own: Any, third: Any, other: Any, others_third: Any) -> sp.Expr:
    """M_12 of g_12, g_13, g_21, g_23.

    Examples:
        >>> minor(1, 1, 1, 1), minor(2, 1, 2, 1)
        (1, 0)
    """
    return own * others_third + third * other - own * other


def area() -> Equal:
    """|z_1|^2 |z_2|^2 - (z_1 . z_2)^2 is M_12^2 / 3, both times 9."""
    squares = 4 * (a**2 - a * b + b**2) * (c**2 - c * d + d**2)
    return Equal(squares - (2 * b * d - a * d - a * c - b * c) ** 2, 3 * minor(a, b, c, d) ** 2)


def one_side() -> Nonnegative:
    """M_12 >= 1 where class 3 is no nearer to class 1 than 2 is: g_12 = 1 + x, g_13 = g_12 + h."""
    return Nonnegative(minor(1 + x, 1 + x + h, 1 + y, 1 + z) - 1)


def far_pair() -> tuple[Nonnegative, Nonnegative, Nonnegative]:
    """M_13 >= g_12 where g_12 = g_13 + h; M_12 >= a + c - a c; and the sum of squares, with a = 1 + x, c = 1 + y."""
    near, own, other = 1 + z, 1 + x, 1 + y
    rest = own + other - own * other
    return (
        Nonnegative(minor(near, near + h, 1 + u, 1 + v) - (near + h)),
        Nonnegative(minor(own, 1 + u, other, 1 + v) - rest),
        Nonnegative(own**2 + other**2 + rest**2 - 3),
    )


def statement() -> AllOf:
    return AllOf((area(), one_side(), *far_pair()))


def setting(parameters: Mapping[sp.Symbol, Range]) -> Setting:
    def sample(rng: random.Random) -> Values:
        excesses = (0,) if rng.random() < 0.5 else (0, 0, 1, 2, 5)  # the inequalities are equalities if all vanish
        values: dict[Any, Any] = {L: rng.randint(1, 3)}
        values |= {symbol: sp.Rational(rng.randint(2, 8), 2) for symbol in (a, b, c, d)}
        return values | {symbol: sp.Rational(rng.choice(excesses), 2) for symbol in (x, y, z, h, u, v)}

    return Setting(parameters, (), sample)


def collapse_has_the_least_decay(where: Setting) -> Derivation:
    third, rest, squares = far_pair()
    names = ("area", "one side", "third class", "rest", "squares")
    return Derivation(
        "Three classes: neural collapse has the least decay of all logits with its gaps",
        where,
        (
            Step("area", area(), "Multiply out.", Star(())),
            Step("one side", one_side(), "No coefficient is negative.", Poly(())),
            Step("third class", third, "No coefficient is negative.", Poly(())),
            Step("rest", rest, "No coefficient is negative.", Poly(())),
            Step("squares", squares, "2 x + 2 y + (x - y)^2 + x^2 y^2.", Poly((), squares=(x - y,))),
            Step("together", statement(), "The parts.", Conjunction(names)),
        ),
    )
