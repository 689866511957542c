"""Scales at which neural collapse and the paired structure are critical (Garrod and Keating 2025, equations 19 and 27).

Written in r, the root of the scale: alpha = r^(L+1), (alpha n^(1/2))^(2/(L+1)) = eta r^2 with eta = n^(1/(L+1)). With
h(r) = r^(L-1) R(r^(L+1)) the loss of that scale has a slope of the sign of lam eta times a constant less h. In
alpha h' = h (q - psi), q = (L-1)/(L+1), psi is the elasticity of 1/R; it increases from 0 beyond 1. So h rises as far as
psi = q and then falls: no, one or two scales are critical for L >= 2; for L = 1 it only falls, and one is, or none.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

import sympy as sp

from .balance import half_integers
from .derivation import Derivation, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import Box, Conjunction, Field, MeanValue, Monotone, Poly
from .proof.statement import AllOf, Exceeds, Identity, Increasing, Positive

K = sp.Symbol("K", integer=True, positive=True)
L = sp.Symbol("L", integer=True, positive=True)
lam = sp.Symbol("lambda", positive=True)
eta = sp.Symbol("eta", positive=True)  # n^(1/(L+1))
r = sp.Symbol("r", positive=True)
alpha = sp.Symbol("alpha", positive=True)


# ---- neural collapse: Garrod and Keating 2025, equation 19
def _collapse_loss() -> sp.Expr:
    """log(1 + (K-1) e^(-alpha)) + decay, at alpha = r^(L+1)."""
    scale = r ** (L + 1)
    return sp.log(sp.exp(scale) + K - 1) - scale + lam / 2 * (L + 1) * (K - 1) * eta * r**2


def _collapse_level() -> sp.Expr:
    """h: alpha^q / (e^alpha + K - 1)."""
    return r ** (L - 1) / (sp.exp(r ** (L + 1)) + K - 1)


def elasticity() -> sp.Expr:
    """psi."""
    return alpha * sp.exp(alpha) / (sp.exp(alpha) + K - 1)


def critical() -> Identity:
    """The slope of the loss in r vanishes exactly where lam eta = h."""
    slope = (L + 1) * (K - 1) * r * (lam * eta - _collapse_level())
    return Identity(sp.Derivative(_collapse_loss(), r), slope, r)


def level_slope() -> Identity:
    """r h' = h (L - 1 - (L+1) psi)."""
    scale, h = r ** (L + 1), _collapse_level()
    psi = scale * sp.exp(scale) / (sp.exp(scale) + K - 1)
    return Identity(r * sp.Derivative(h, r), h * (L - 1 - (L + 1) * psi), r)


def beyond_one() -> Exceeds:
    """psi at alpha = K."""
    return Exceeds(elasticity().subs(alpha, K), sp.S.One)


def between() -> tuple[Exceeds, Exceeds]:
    """e^(-alpha)/K < 1/(e^alpha + K - 1) < e^(-alpha): so alpha ~ -log lam along the larger solution."""
    return Exceeds(K * sp.exp(alpha), sp.exp(alpha) + K - 1), Exceeds(sp.exp(alpha) + K - 1, sp.exp(alpha))


def collapse_statement() -> AllOf:
    return AllOf((critical(), level_slope(), Increasing(elasticity(), alpha), beyond_one(), *between()))


def collapse_scale(where: Setting) -> Derivation:
    lower, upper = between()
    rises = Exceeds((K - 1) * sp.exp(alpha), sp.S.Zero)
    names = ("slope of the loss", "slope of h", "psi", "psi at K", "lower bound", "upper bound")
    return Derivation(
        "Critical scales of neural collapse",
        where,
        (
            Step("slope of the loss", critical(), "Differentiate.", Field()),
            Step("slope of h", level_slope(), "Differentiate the quotient.", Field()),
            Step("psi", Increasing(elasticity(), alpha), "Both factors grow.", Monotone()),
            Step("psi at K", beyond_one(), "(K - 1) e^K > K - 1.", Box()),
            Step("slope of the bound", rises, "A product of positive factors.", Box()),
            Step(
                "lower bound",
                lower,
                "Equal at alpha = 0, and the difference grows.",
                MeanValue(alpha, "slope of the bound"),
            ),
            Step("upper bound", upper, "K > 1.", Box()),
            Step("together", collapse_statement(), "The parts.", Conjunction(names)),
        ),
    )


def sample(rng: random.Random) -> Values:
    """Examples with few classes and layers."""
    numbers = dict(zip((lam, eta, r, alpha, kappa, x), half_integers(rng, 6), strict=True))
    return {K: rng.randint(2, 5), L: rng.randint(1, 3), m: rng.randint(2, 4), **numbers}


def setting(parameters: Mapping[sp.Symbol, Range]) -> Setting:
    return Setting(parameters, (), sample)


# ---- pairs, K = 2m >= 4: Garrod and Keating 2025, equation 27
m = sp.Symbol("m", integer=True, positive=True)
kappa = sp.Symbol("kappa", positive=True)  # 2^(2/(L+1))
x = sp.Symbol("x", positive=True)  # e^beta - 1


def _pairs_loss() -> sp.Expr:
    """log(1 + e^(-2 beta) + (K-2) e^(-beta)) + decay, at beta = r^(L+1)."""
    scale = r ** (L + 1)
    wrong = sp.exp(-2 * scale) + (2 * m - 2) * sp.exp(-scale)
    return sp.log(1 + wrong) + lam / 2 * (L + 1) * m * kappa * eta * r**2


def pairs_critical() -> Identity:
    """The slope of the loss in r vanishes exactly where lam eta m 2^(2/(L+1)) = r^(L-1) R."""
    scale = r ** (L + 1)
    wrong = sp.exp(-2 * scale) + (2 * m - 2) * sp.exp(-scale)
    mean = (wrong + sp.exp(-2 * scale)) / (1 + wrong)
    slope = (L + 1) * r * (lam * eta * m * kappa - r ** (L - 1) * mean)
    return Identity(sp.Derivative(_pairs_loss(), r), slope, r)


def _mean() -> sp.Expr:
    """R = (2 + (K-2) e^beta) / (e^(2 beta) + (K-2) e^beta + 1)."""
    power, c = 1 + x, 2 * m - 2
    return (2 + c * power) / (power**2 + c * power + 1)


def _fall() -> sp.Expr:
    """-R'/R in beta; psi is beta times this."""
    power, c = 1 + x, 2 * m - 2
    return power * (c * power**2 + 4 * power + c) / ((power**2 + c * power + 1) * (c * power + 2))


def pairs_statement() -> AllOf:
    """R in [e^(-beta), (K-2) e^(-beta)] from K = 4: so beta ~ -log lam along the larger solution."""
    power = 1 + x
    return AllOf(
        (
            pairs_critical(),
            Identity(-power * sp.Derivative(_mean(), x) / _mean(), _fall(), x),
            Increasing(_fall(), x),
            Positive(_fall()),
            Positive(_mean() * power - 1),
            Positive(2 * m - 2 - _mean() * power),
        )
    )


def pairs_scale(where: Setting) -> Derivation:
    said = pairs_statement().parts
    steps = (
        Step("slope of the loss", said[0], "Differentiate.", Field()),
        Step("slope of R", said[1], "Differentiate; e^beta = 1 + x.", Field()),
        Step("fall", said[2], "A quotient of polynomials with positive coefficients, and so is its slope.", Monotone()),
        Step("positive", said[3], "Positive coefficients.", Poly()),
        Step("lower bound", said[4], "It is x ((K-3)(1+x) + 1) over a positive number.", Poly()),
        Step("upper bound", said[5], "Positive coefficients.", Poly()),
    )
    names = tuple(step.name for step in steps)
    return Derivation(
        "Critical scales of the paired structure",
        where,
        (*steps, Step("together", pairs_statement(), "The parts.", Conjunction(names))),
    )
