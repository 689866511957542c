"""Solutions of dw/dt = rate(w) with a first integral: what is proved, and that a changed formula is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp
from tightframe.theory import growth
from tightframe.theory.derivation import Derivation, Failure, Proof, Step
from tightframe.theory.proof.rules import ByFirstIntegral
from tightframe.theory.proof.statement import FirstIntegral
from tightframe.theory.symbols import C, N, integers, reals

w = growth.w
SETTING = growth.setting({C: integers(2), N: integers(2), w: reals(0, open=True)})
MOTIONS = {"central path": growth.central_path(), "unprojected": growth.unprojected()}
DERIVATIONS = (growth.closed_form, growth.grows, growth.equalises, growth.loss_decays)


def outcome(statement: FirstIntegral) -> Proof | Failure:
    step = Step("goal", statement, "", ByFirstIntegral())
    return Derivation("a statement about a motion", SETTING, (step,)).prove()


@pytest.mark.parametrize("name", MOTIONS)
@pytest.mark.parametrize("derive", DERIVATIONS)
def test_both_flows_are_proved(name: str, derive: object) -> None:
    assert isinstance(derive(MOTIONS[name], SETTING).prove(), Proof)  # pyrefly: ignore


CHANGES = {
    "rate of the other flow": {"rate": w / (C * N * (C + w**2))},
    "C and N swapped": {"rate": w / (C * (N + w**2) ** 2)},
    "rate times 1.001": {"rate": w / (N * (C + w**2) ** 2) * sp.Rational(1001, 1000)},
    "rate negated": {"rate": -w / (N * (C + w**2) ** 2)},
    "square dropped": {"rate": w / (N * (C + w**2))},
    "logarithm dropped": {"integral": C * N * w**2 + N * w**4 / 4},
    "C for C^2": {"integral": C * N * sp.log(w) + C * N * w**2 + N * w**4 / 4},
    "N/2 for N/4": {"integral": C**2 * N * sp.log(w) + C * N * w**2 + N * w**4 / 2},
    "integral negated": {"integral": -(C**2 * N * sp.log(w) + C * N * w**2 + N * w**4 / 4)},
}
LEADING = {
    "coefficient N": {"coefficient": N},
    "coefficient negated": {"coefficient": -N / 4},
    "coefficient times 1.001": {"coefficient": N / 4 * sp.Rational(1001, 1000)},
    "coefficient depends on w": {"coefficient": N / 4 + 1 / w},
    "exponent 3": {"exponent": 3},
    "exponent 5": {"exponent": 5},
    "exponent 0": {"exponent": 0},
}
DECAYS = {
    "other power": {"power": 3},
    "other limit": {"limit": sp.S.One},
    "limit of another quantity": {"quantity": 1 / (C + w)},
    "count not a natural number": {"count": C - sp.Rational(1, 2)},
}


@pytest.mark.parametrize("kind", ["first_integral", "growth", "equalisation"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_motion_is_not_proved(kind: str, change: str) -> None:
    assert isinstance(outcome(replace(getattr(growth.central_path(), kind), **CHANGES[change])), Failure)


@pytest.mark.parametrize("kind", ["growth", "equalisation"])
@pytest.mark.parametrize("change", LEADING)
def test_a_changed_leading_term_is_not_proved(kind: str, change: str) -> None:
    assert isinstance(outcome(replace(getattr(growth.central_path(), kind), **LEADING[change])), Failure)


@pytest.mark.parametrize("change", DECAYS)
def test_a_changed_decay_is_not_proved(change: str) -> None:
    half = sp.Rational(1, 2)
    right = growth.central_path().decay(half / (C + w**2), 2, half, C - 1)
    assert isinstance(outcome(right), Proof)
    assert isinstance(outcome(replace(right, **DECAYS[change])), Failure)
