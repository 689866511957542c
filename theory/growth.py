"""How the SNR singular values grow on the central path: first integral, growth, equalisation, decay of the loss.

Each w = w_j moves alone, dw/dt = w / (N (C + w^2)^2), so that

    Phi(w) = C^2 N log w + C N w^2 + (N/4) w^4,    Phi(w(t)) = Phi(w(0)) + t      (Han, Papyan & Donoho 2022).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from .derivation import Derivation, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import ByFirstIntegral, Conjunction, Dominance, Field, Monotone
from .proof.statement import (
    AllOf,
    Decay,
    Equalisation,
    EqualShares,
    FirstIntegral,
    Growth,
    Identity,
    Increasing,
    Vanishing,
)
from .symbols import C, N

w = sp.Symbol("w", positive=True)
v = sp.Symbol("v", positive=True)


@dataclass(frozen=True)
class SingularValueMotion:
    """dw/dt = rate(w) with its first integral and the leading term of that."""

    rate: sp.Expr
    integral: sp.Expr
    coefficient: sp.Expr
    exponent: int

    @property
    def first_integral(self) -> FirstIntegral:
        return FirstIntegral(w, self.rate, self.integral)

    @property
    def growth(self) -> Growth:
        return Growth(w, self.rate, self.integral, self.coefficient, self.exponent)

    @property
    def equalisation(self) -> Equalisation:
        return Equalisation(w, self.rate, self.integral, self.coefficient, self.exponent)

    def shares(self, quantity: sp.Expr, power: int, count: sp.Expr) -> EqualShares:
        return EqualShares(w, self.rate, self.integral, self.coefficient, self.exponent, quantity, power, count)

    def decay(self, quantity: sp.Expr, power: int, limit: sp.Expr, count: sp.Expr) -> Decay:
        return Decay(w, self.rate, self.integral, self.coefficient, self.exponent, quantity, power, limit, count)


def central_path() -> SingularValueMotion:
    """The projected renormalised flow."""
    integral = C**2 * N * sp.log(w) + C * N * w**2 + N * w**4 / 4
    return SingularValueMotion(w / (N * (C + w**2) ** 2), integral, N / 4, 4)


def unprojected() -> SingularValueMotion:
    """The flow of unprojected steps with renormalisation, dw/dt = w / (C N (C + w^2))."""
    integral = C**2 * N * sp.log(w) + C * N * w**2 / 2
    return SingularValueMotion(w / (C * N * (C + w**2)), integral, C * N / 2, 2)


def setting(parameters: Mapping[sp.Symbol, Range], definitions: Mapping[Any, Any] | None = None) -> Setting:
    """Scalars only; ``w`` runs over the positive reals."""

    def sample(rng: random.Random) -> Values:
        values = {C: rng.randint(2, 6), N: rng.randint(2, 9)}
        return {**values, w: sp.Rational(rng.randint(1, 20), 4), v: sp.Rational(rng.randint(1, 20), 4)}

    return Setting(parameters, (), sample, definitions=definitions or {})


def _integral_steps(motion: SingularValueMotion) -> tuple[Step, ...]:
    slope = sp.Derivative(motion.integral, w)
    return (
        Step(
            "chain rule",
            Identity(slope * motion.rate, sp.S.One, w),
            "Along a solution d/dt Phi(w(t)) = Phi'(w) dw/dt = 1.",
            Field(),
        ),
        Step("increasing", Increasing(motion.integral, w), "Phi' is a sum of positive terms.", Monotone()),
    )


def closed_form(motion: SingularValueMotion, where: Setting) -> Derivation:
    """Phi(w(t)) = Phi(w(0)) + t."""
    return Derivation(
        "The singular values in closed form",
        where,
        (
            *_integral_steps(motion),
            Step(
                "closed form",
                motion.first_integral,
                "Integrate from 0 to t; Phi is one-to-one, so the equation determines w(t).",
                ByFirstIntegral(),
            ),
        ),
    )


def grows(motion: SingularValueMotion, where: Setting) -> Derivation:
    """w(t) increases to infinity like (t/c)^(1/k)."""
    lead = motion.coefficient * w**motion.exponent
    return Derivation(
        "Every singular value grows to infinity",
        where,
        (
            *closed_form(motion, where).steps,
            Step(
                "leading term",
                Vanishing((motion.integral - lead) / w**motion.exponent, w),
                "Lower powers and the logarithm are dominated by the leading power.",
                Dominance(),
            ),
            Step(
                "growth",
                motion.growth,
                "Phi is finite at finite w and tends to infinity with w, so Phi(w(t)) = Phi(w(0)) + t has a solution "
                "for all t and forces w(t) to infinity; insert the leading term.",
                ByFirstIntegral(),
            ),
        ),
    )


def next_order(motion: SingularValueMotion) -> AllOf:
    """On the central path t = (N/4) (w^2 + 2 C)^2 + o(w^2), that is w^2 = 2 (t/N)^(1/2) - 2 C + o(1)."""
    square = N * (w**2 + 2 * C) ** 2 / 4
    remainder = C**2 * N * (sp.log(w) - 1)
    return AllOf((motion.growth, Identity(motion.integral, square + remainder, w), Vanishing(remainder / w**2, w)))


def grows_to_next_order(motion: SingularValueMotion, where: Setting) -> Derivation:
    """The growth of w with its second term."""
    growth, identity, vanishing = next_order(motion).parts
    return Derivation(
        "The growth of the singular values to the next order",
        where,
        (
            *grows(motion, where).steps,
            Step("square", identity, "Complete the square in w^2.", Field()),
            Step("remainder", vanishing, "The logarithm is dominated by w^2.", Dominance()),
            Step(
                "next order",
                AllOf((growth, identity, vanishing)),
                "So (N/4) (w^2 + 2 C)^2 = t + o(w^2). Divide by w^2, which grows like 2 (t/N)^(1/2), take the root: "
                "w^2 + 2 C - 2 (t/N)^(1/2) tends to 0.",
                Conjunction(("growth", "square", "remainder")),
            ),
        ),
    )


def equalises(motion: SingularValueMotion, where: Setting) -> Derivation:
    """The ratio of any two singular values decreases to 1."""
    lead = motion.coefficient * w**motion.exponent
    return Derivation(
        "The singular values equalise",
        where,
        (
            *grows(motion, where).steps,
            Step(
                "relative rate",
                Increasing(w / motion.rate, w),
                "rate(w)/w decreases: d/dt log(w/v) = rate(w)/w - rate(v)/v is negative where w > v.",
                Monotone(),
            ),
            Step(
                "remainder",
                Increasing(motion.integral - lead, w),
                "So c (w^k - v^k) is at most Phi(w) - Phi(v), which is constant in time.",
                Monotone(),
            ),
            Step(
                "equalisation",
                motion.equalisation,
                "The ratio decreases, and the bound tends to 1 because v tends to infinity.",
                ByFirstIntegral(),
            ),
        ),
    )


def loss_decays(motion: SingularValueMotion, where: Setting) -> Derivation:
    """1/2 sum_j 1/(C + w_j^2) ~ ((C-1)/2) (c/t)^(2/k)."""
    half = sp.Rational(1, 2)
    quantity = half / (C + w**2)
    return Derivation(
        "The loss on the central path decays",
        where,
        (
            *grows(motion, where).steps,
            Step(
                "each term",
                Vanishing(quantity * w**2 - half, w),
                "w^2 / (C + w^2) tends to 1.",
                Dominance(),
            ),
            Step(
                "decay",
                motion.decay(quantity, 2, half, C - 1),
                "Every one of the C - 1 terms decays like that, whatever its start.",
                ByFirstIntegral(),
            ),
        ),
    )


def parts(title: str, where: Setting, derivations: tuple[Derivation, ...]) -> Derivation:
    """Several derivations in one setting, concluded together."""
    steps: dict[str, Step] = {}
    for derivation in derivations:
        steps |= {step.name: step for step in derivation.steps}
    last = tuple(derivation.steps[-1] for derivation in derivations)
    whole = AllOf(tuple(step.says for step in last))
    done = Step("together", whole, "The parts.", Conjunction(tuple(step.name for step in last)))
    return Derivation(title, where, (*steps.values(), done))
