"""The scalar problem: its minimiser in floats and with certified digits, against brute force, at every threshold."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tightframe import papers
from tightframe.papers import cli
from tightframe.theory import scalar_problem

DEPTHS = (1, 2, 3, 4, 7, 20, 1000)


def brute_force(b: float, depth: int) -> float:
    """The least of g_b over 0 and a fine grid in log x."""
    log_x = np.linspace(-15.0, math.log(1 / b) + 1, 200_001)
    with np.errstate(over="ignore"):
        return min(1.0, float(np.min(1 / (1 + np.exp(log_x * depth)) + b * np.exp(log_x))))


def least(x: Any, b: float, depth: int) -> float:
    return float(scalar_problem.value(x, b, depth))


@pytest.mark.parametrize("depth", DEPTHS)
def test_no_point_does_better(depth: int) -> None:
    edge = scalar_problem.threshold(depth)
    for b in (1e-3, 0.03, 0.2, 0.9 * edge, (1 - 1e-6) * edge, (1 + 1e-6) * edge, 1.1 * edge, 3.0):
        found = scalar_problem.minimiser(b, depth)
        assert found.converged
        assert least(found.value, b, depth) == pytest.approx(brute_force(b, depth), abs=1e-6)
        assert least(found.value, b, depth) <= brute_force(b, depth) + 1e-14


@pytest.mark.parametrize("depth", DEPTHS)
def test_floats_are_right_to_the_last_places(depth: int) -> None:
    """Against enclosures by certified signs, for b of all magnitudes."""
    for b in (1e-300, 1e-100, 1e-9, 0.1, 0.3, 0.45):
        found = float(scalar_problem.minimiser(b, depth).value)
        low, high = scalar_problem.enclosed_minimiser(Fraction(b) ** depth, depth, 80)
        assert high - low <= low * Fraction(1, 2**60)
        assert abs(Fraction(found) / low - 1) < Fraction(1, 10**15)


def test_tiny_and_huge_slopes() -> None:
    found = scalar_problem.minimiser([5e-324, 1e-300, 1e300, math.inf], 2)
    assert found.converged
    logs = [(math.log(2) - math.log(b)) / 3 for b in (5e-324, 1e-300)]
    assert np.log(found.value[:2]) == pytest.approx(logs, rel=1e-13)
    assert found.value[2:].tolist() == [0.0, 0.0]
    assert scalar_problem.minimiser(0.1, 10**6).converged
    assert scalar_problem.minimiser([], 3).value.shape == (0,)
    assert scalar_problem.minimiser([[0.1, 0.2]], 3).value.shape == (1, 2)


@given(st.lists(st.floats(1e-12, 10.0), min_size=1, max_size=20), st.integers(1, 12))
def test_the_root_is_the_larger_one(slopes: list[float], depth: int) -> None:
    found = scalar_problem.minimiser(slopes, depth)
    for b, x in zip(slopes, found.value.tolist(), strict=True):
        if x:
            assert x**depth >= (depth - 1) * (1 - 1e-12)
            assert depth * x ** (depth - 1) == pytest.approx(b * (1 + x**depth) ** 2, rel=1e-9)
            assert scalar_problem.compare(b, depth) <= 0
        else:
            assert scalar_problem.compare(b, depth) >= 0


@pytest.mark.parametrize("depth", DEPTHS)
def test_the_threshold_is_met_exactly(depth: int) -> None:
    """The neighbouring floats of beta_M fall on their sides."""
    edge = scalar_problem.threshold(depth)
    floats = [edge]
    for _ in range(6):
        floats = [math.nextafter(floats[0], 0.0), *floats, math.nextafter(floats[-1], math.inf)]
    signs = [scalar_problem.compare(b, depth) for b in floats]
    assert signs == sorted(signs)
    assert (signs[0], signs[-1]) == (-1, 1)
    assert scalar_problem.compared(np.array(floats), depth).tolist() == signs
    for b, sign in zip(floats, signs, strict=True):
        exact = Fraction(b)
        if depth <= 20:
            left, right = (depth * exact) ** depth, Fraction((depth - 1) ** (depth - 1))
            assert sign == (left > right) - (left < right)


def test_both_minimisers_at_equality() -> None:
    found = scalar_problem.minimiser([0.5, math.nextafter(0.5, 0), math.nextafter(0.5, 1)], 2)
    assert found.tie.tolist() == [True, False, False]
    assert found.value[0] == 1.0
    assert found.value[2] == 0.0
    assert least(1.0, 0.5, 2) == least(0.0, 0.5, 2) == 1.0
    assert not scalar_problem.minimiser(1.0, 1).tie  # one minimiser: the root is 0 itself
    assert scalar_problem.compare_power(Fraction(4, 27), 3) == 0  # b = beta_3, of which only b^3 is rational
    low, high = scalar_problem.enclosed_minimiser(Fraction(4, 27), 3, 100)
    assert low**3 < 2 < high**3


def test_a_positive_root_may_be_no_minimiser() -> None:
    """Just above the threshold the stationarity equation still has two roots."""
    b = 0.55
    x = np.linspace(1.0, 2.0, 1001)
    assert np.any(3 * x**2 > b * (1 + x**3) ** 2)
    assert scalar_problem.minimiser(b, 3).value == 0.0


def stationary(depth: int, b: float) -> list[float]:
    """The log x between which g_b' changes its sign, on a fine grid."""
    log_x = np.linspace(-12.0 / depth - 3, 6.0 / depth, 100_001)
    slope = np.log(depth / b) + (depth - 1) * log_x - 2 * np.logaddexp(0, depth * log_x)
    return log_x[:-1][np.diff(np.sign(slope)) != 0].tolist()


@pytest.mark.parametrize("depth", [2, 3, 6, 20])
def test_between_threshold_and_fold_a_local_minimum_is_left(depth: int) -> None:
    """Two stationary points up to the fold and none beyond; the larger is a minimum, above the one at 0."""
    edge, last = scalar_problem.threshold(depth), scalar_problem.fold(depth)
    assert (last * 4 * depth / (depth + 1) ** 2) ** depth == pytest.approx(
        ((depth - 1) / (depth + 1)) ** (depth - 1), rel=1e-12
    )
    assert not stationary(depth, last * (1 + 1e-5))
    for b in (edge * (1 + 1e-6), (edge * last) ** 0.5, last * (1 - 1e-4)):
        points = stationary(depth, b)
        assert len(points) == 2
        found = least(math.exp(points[1]), b, depth)
        assert all(least(math.exp(points[1] + step), b, depth) > found for step in (-0.01 / depth, 0.01 / depth))
        assert found > 1.0
        assert least(scalar_problem.minimiser(b, depth).value, b, depth) == 1.0


def test_one_layer_has_no_local_minimum_but_the_global_one() -> None:
    assert scalar_problem.fold(1) == scalar_problem.threshold(1) == 1.0
    assert scalar_problem.fold(10**6) == pytest.approx(10**6 / 4, rel=1e-5)
    with pytest.raises(ValueError, match="depth M"):
        scalar_problem.fold(0)


@pytest.mark.parametrize("digits", [1, 5, 50, 300])
def test_certified_digits_agree_with_more_of_them(digits: int) -> None:
    for b, depth in ((Fraction(1, 10), 2), (Fraction("0.25"), 3), (Fraction(1, 10**40), 5)):
        short, long = (scalar_problem.certified(b, depth, n)["x"] for n in (digits, digits + 40))
        assert abs(Decimal(short) - Decimal(long)) <= Decimal(long).scaleb(-digits) * 10
        assert float(long) == pytest.approx(float(scalar_problem.minimiser(float(b), depth).value), rel=1e-15)


def test_exact_values_are_recognised() -> None:
    """Where the minimiser is rational, a tie of the rounding must not be looked for forever."""
    assert scalar_problem.certified(Fraction(4, 25), 1, 1)["x"] == "2"  # 5/2 - 1 = 1.5, to even
    assert scalar_problem.certified(Fraction(1, 2), 2, 3) == {"x": "1.00", "threshold": "0.500"}
    b = 2 * Fraction(5, 4) / (1 + Fraction(25, 16)) ** 2
    assert scalar_problem.certified(b, 2, 2)["x"] == "1.2"  # 5/4


@pytest.mark.parametrize("bad", [0, -1, True, 2.0, "2", 2**31 + 1])
def test_what_is_no_depth_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match="depth M"):
        scalar_problem.minimiser(0.1, bad)


@pytest.mark.parametrize("bad", [0.0, -0.1, math.nan])
def test_what_is_no_slope_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="b > 0"):
        scalar_problem.minimiser([0.1, bad], 2)
    with pytest.raises(ValueError, match="b > 0"):
        scalar_problem.compare(bad, 2)


def test_prediction() -> None:
    found = papers.predict("dang2023/scalar-minimiser", M=3, b="0.3")["values"]
    assert found["x"] == pytest.approx(1.5918827504476714, rel=1e-14)
    assert found["threshold"] == pytest.approx(4 ** (1 / 3) / 3, rel=1e-15)
    assert found["minimisers"] == [found["x"]]
    tie = papers.predict("dang2023/scalar-minimiser", M=2, b="1/2", digits=4)["values"]
    assert tie == {"x": "1.000", "threshold": "0.5000", "minimisers": ["0", "1.000"]}
    assert papers.predict("dang2023/scalar-minimiser", M=2, b="0.50000000000000000000000001")["values"]["x"] == 0.0


@pytest.mark.parametrize("words", [["M=0", "b=1"], ["M=2", "b=0"], ["M=1.5", "b=1"], ["M=2"], ["M=2", "b=1", "c=1"]])
def test_wrong_input_is_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    sets = [each for word in words for each in ("--set", word)]
    assert cli.main(["predict", "dang2023/scalar-minimiser", *sets]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("tightframe: ")
    assert captured.err.count("\n") == 1


# ---- mutants of the law: the tests above tell the scalar problem from its neighbours

MUTANTS = {
    "compared with x = 0 never": lambda b, M: max(_roots(b, M), default=0.0),
    "smaller root": lambda b, M: min(_roots(b, M), default=0.0) if b < scalar_problem.threshold(M) else 0.0,
    "another depth": lambda b, M: float(scalar_problem.minimiser(b, M + 1).value),
    "twice the slope": lambda b, M: float(scalar_problem.minimiser(2 * b, M).value),
    "threshold (M-1)/M": lambda b, M: max(_roots(b, M), default=0.0) if b < (M - 1) / M else 0.0,
}


def _roots(b: float, depth: int) -> list[float]:
    """Both roots of the stationarity equation, by bisection in log x, if there are any."""
    top = math.log((depth - 1) / (depth + 1)) / depth

    def gap(t: float) -> float:
        return math.log(depth / b) + (depth - 1) * t - 2 * math.log1p(math.exp(depth * t))

    if gap(top) < 0:
        return []
    found = []
    for inner, outer in ((top, top - 60.0), (top, top + 60.0)):
        for _ in range(200):
            middle = (inner + outer) / 2
            inner, outer = (middle, outer) if gap(middle) > 0 else (inner, middle)
        found.append(math.exp(inner))
    return found


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_caught(name: str) -> None:
    caught = 0
    for b in (0.1, 0.3, 0.52, 0.54, 0.56, 0.6):
        found = MUTANTS[name](b, 3)
        caught += least(found, b, 3) > brute_force(b, 3) + 1e-6
    assert caught


def test_the_reference_of_the_mutants_is_right() -> None:
    for b in (0.05, 0.3, 0.52):
        assert max(_roots(b, 3)) == pytest.approx(float(scalar_problem.minimiser(b, 3).value), rel=1e-12)
