"""The renormalised flow: changed projections, gradients and velocities are refuted by exact examples."""

from __future__ import annotations

from functools import cache

import pytest
import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix
from sympy.matrices.expressions.matexpr import MatrixExpr
from tightframe.papers.han2022 import renormalised_flow as han2022
from tightframe.papers.registry import find
from tightframe.theory.proof.statement import Equal, GradientIs, Statement
from tightframe.theory.renormalised_flow import unprojected_velocity
from tightframe.theory.symbols import C, N, integers, p, product

FLOW = han2022.flow
WHITENED = han2022.whitened
RANGES = {C: integers(2), N: integers(2), p: integers(1)}
DIAGONAL, RESOLVENT = DiagMatrix(FLOW.snr.values), FLOW.snr.resolvent
LABELS = FLOW.snr.data.one_hot


def moving(power: int, scale: object) -> object:
    return FLOW.snr.left * DIAGONAL * RESOLVENT**power * FLOW.snr.right.T * LABELS * scale


@cache
def projected() -> MatrixExpr:
    return product(sp.S.NegativeOne, FLOW.projection(FLOW.gradient(FLOW.features)))


def velocity(power: int, scale: object) -> Statement:
    return Equal(projected(), moving(power, scale))


def snr_velocity(power: int, scale: object) -> Statement:
    rate = FLOW.snr.left * DIAGONAL * RESOLVENT**power * FLOW.snr.right.T * scale
    return Equal(unprojected_velocity(FLOW), rate)


def refuted(statement: Statement) -> bool:
    return find("han2022/snr-flow").setting.refute(statement, draws=3) is not None


def test_the_velocity_is_not_refuted() -> None:
    assert not refuted(velocity(2, 1 / N))
    assert not refuted(snr_velocity(1, 1 / (C * N)))


@pytest.mark.parametrize(
    ("power", "scale"), [(1, 1 / N), (3, 1 / N), (2, 1 / C), (2, -1 / N), (2, 2 / N), (1, 1 / (C * N))]
)
def test_another_velocity_is_refuted(power: int, scale: object) -> None:
    """Among them the velocity of unprojected steps with renormalisation, w / (C N (C + w^2))."""
    assert refuted(velocity(power, scale))


def test_the_two_flows_are_not_confused() -> None:
    assert refuted(snr_velocity(2, 1 / N))


@pytest.mark.parametrize("factor", [2, -1, sp.Rational(1001, 1000)])
def test_another_gradient_is_refuted(factor: object) -> None:
    right = GradientIs(FLOW.loss(FLOW.state), FLOW.state, FLOW.gradient(FLOW.state))
    assert not refuted(right)
    assert refuted(GradientIs(right.objective, right.variable, factor * right.gradient))


@pytest.mark.parametrize("scale", [sp.Rational(1, 2), 2, -1])
def test_another_multiplier_is_no_projection(scale: object) -> None:
    wrong = WHITENED.velocity - scale * WHITENED.multiplier(WHITENED.velocity) * WHITENED.residuals
    statement = Equal(WHITENED.derivative_of_covariance(wrong), sp.ZeroMatrix(p, p))
    assert find("han2022/tangent-projection").setting.refute(statement, draws=3) is not None
