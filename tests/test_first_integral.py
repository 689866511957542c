"""Numbers of the closed form: the float solver against certified enclosures, and the first integral itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import Any

import flint
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from laws import refuses
from tightframe.theory import first_integral
from tightframe.theory.first_integral import certified_loss, certified_singular_values, loss, singular_values
from tightframe.theory.rounding import decimal_string, rounded

START, TIME = (2.35060868, 1.62749865, 0.92913709), 4000.0
KNOWN = (6.40590091, 6.33127301, 6.27297952)
EPS = 2.0**-52


def magnitudes(low: float, high: float) -> SearchStrategy[float]:
    """Positive floats over decades, more of them near 1."""
    return (st.floats(low, high) | st.floats(-2.0, 3.0)).map(lambda e: 10.0**e)


def class_sizes() -> SearchStrategy[tuple[int, int]]:
    """(C, N)."""
    size = st.integers(2, 12) | st.sampled_from([1000, 10**6, 2**53 - 1])
    return st.tuples(size, size)


def late(size: tuple[int, int], turns: float) -> float:
    """A time at which a tiny start has grown by about e^turns: what a single float of t/(C^2 N) cannot resolve."""
    return float(size[0] ** 2 * size[1] * turns)


def certified(w0: float, t: float, size: tuple[int, int]) -> float:
    (text,) = certified_singular_values([Fraction(w0)], Fraction(t), *size, digits=25)
    return float(text)


# ------------------------------------------------------------------------------- laws, each with a mutant below

Solver = Callable[..., Any]


def equals_the_enclosure(solver: Solver, w0: float, t: float, size: tuple[int, int]) -> None:
    """Within three units in the last place of the certified value."""
    exact = certified(w0, t, size)
    assert abs(float(solver(w0, t, *size).value) - exact) <= 3 * np.spacing(exact)


def keeps_the_first_integral(solver: Solver, w0: float, t: float, size: tuple[int, int]) -> None:
    """Phi(w(t)) - Phi(w0) - t , computed in 2000 bits, is what 3 eps of w change, and no more."""
    classes, per_class = size
    with flint.ctx.workprec(2000):

        def phi(w: float) -> flint.arb:
            x = flint.arb(w)
            return classes**2 * per_class * x.log() + classes * per_class * x**2 + per_class * x**4 / 4

        w = float(solver(w0, t, *size).value)
        allowed = per_class * (classes + flint.arb(w) ** 2) ** 2 * (3 * max(EPS, np.spacing(w) / w))
        assert abs(phi(w) - phi(w0) - flint.arb(t)) <= allowed


def grows_and_keeps_order(solver: Solver, starts: list[float], times: list[float], size: tuple[int, int]) -> None:
    """More time, larger values; larger starts stay larger; up to rounding in both."""
    value = solver(np.sort(starts), np.sort(times)[:, None], *size).value
    assert value.shape == (len(times), len(starts))
    for axis in (0, 1):
        before, after = np.delete(value, -1, axis), np.delete(value, 0, axis)
        assert np.all(after >= before * (1 - 4 * EPS))
    assert np.all(value >= np.sort(starts))


@settings(max_examples=300)
@given(magnitudes(-307.0, 307.0), magnitudes(-300.0, 308.0), class_sizes())
@example(1e-300, 1e300, (4, 7))
@example(5e-324, 1e-300, (2, 2))
@example(1e-300, late((3, 7), 690.775), (3, 7))
@example(1e77, 1.7e308, (2, 2))
@example(1.7e308, 1.7e308, (2, 2))
def test_newton_lies_in_the_certified_enclosure(w0: float, t: float, size: tuple[int, int]) -> None:
    equals_the_enclosure(singular_values, w0, t, size)


@given(st.floats(-307.0, -5.0).map(lambda e: 10.0**e), st.floats(0.1, 1500.0), class_sizes())
def test_newton_lies_in_the_enclosure_while_a_tiny_start_grows(w0: float, turns: float, size: tuple[int, int]) -> None:
    equals_the_enclosure(singular_values, w0, late(size, turns), size)
    keeps_the_first_integral(singular_values, w0, late(size, turns), size)


@given(magnitudes(-300.0, 70.0), magnitudes(-300.0, 300.0), class_sizes())
def test_the_first_integral_grows_like_time(w0: float, t: float, size: tuple[int, int]) -> None:
    keeps_the_first_integral(singular_values, w0, t, size)


@given(
    st.lists(magnitudes(-300.0, 70.0), min_size=2, max_size=8),
    st.lists(st.just(0.0) | magnitudes(-300.0, 300.0), min_size=2, max_size=8),
    class_sizes(),
)
def test_values_grow_and_keep_their_order(starts: list[float], times: list[float], size: tuple[int, int]) -> None:
    grows_and_keeps_order(singular_values, starts, times, size)


def changed(change: Callable[[Any, Any, int, int], Any]) -> Solver:
    """A solver whose value is something else."""

    def solver(w0: Any, t: Any, classes: int, per_class: int) -> first_integral.Solution:
        value = np.asarray(change(np.asarray(w0), np.asarray(t), classes, per_class), np.float64)
        return first_integral.Solution(value, "converged", first_integral.Stats(1, 0.0))

    return solver


def unprojected(w0: Any, t: Any, classes: int, per_class: int) -> Any:
    """The flow of another ODE, dw/dt = w/(C N (C + w^2)), by bisection: what a step without projection follows."""
    low, high = np.log(w0), np.log(w0) + 60.0
    for _ in range(80):
        mid = (low + high) / 2
        grown = classes**2 * per_class * (mid - np.log(w0)) + classes * per_class * (np.exp(2 * mid) - w0**2) / 2
        low, high = np.where(grown < t, mid, low), np.where(grown < t, high, mid)
    return np.exp(low)


WRONG = {
    "another flow": changed(unprojected),
    "the leading term alone": changed(lambda w0, t, C, N: (w0**4 + 4 * t / N) ** 0.25),
    "N counts all samples": changed(lambda w0, t, C, N: singular_values(w0, t, C, C * N).value),
    "8 units in the last place off": changed(lambda *a: singular_values(*a).value * (1 + 8 * EPS)),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_solvers_break_the_laws(name: str) -> None:
    for law in (equals_the_enclosure, keeps_the_first_integral):
        with pytest.raises(AssertionError):
            law(WRONG[name], 0.9, 40.0, (4, 7))


def test_wrong_orders_are_seen() -> None:
    falling = changed(lambda w0, t, C, N: singular_values(w0, np.max(t) - t, C, N).value)
    swapped = changed(lambda w0, t, C, N: singular_values(1 / w0, t, C, N).value)
    for mutant in (falling, swapped):
        with pytest.raises(AssertionError):
            grows_and_keeps_order(mutant, [0.5, 1.0, 2.0], [0.0, 1.0, 5.0], (4, 7))


# --------------------------------------------------------------------------------------------------- single facts


def test_the_reference_value() -> None:
    solution = singular_values(START, TIME, 4, 7)
    assert np.round(solution.value, 8).tolist() == list(KNOWN)
    assert solution.converged
    assert solution.stats.steps <= 10
    exact = [Fraction(text) for text in ("2.35060868", "1.62749865", "0.92913709")]
    digits = certified_singular_values(exact, Fraction(4000), 4, 7, 50)
    assert [float(text) for text in digits] == pytest.approx(solution.value, rel=4 * EPS)
    assert digits[0] == "6.4059009130513295187456718165196051062643448505134"


def test_arrays_of_any_size() -> None:
    times = np.geomspace(1.0, 1e6, 50)
    table = singular_values(START, times[:, None], 4, 7).value
    assert table.shape == (50, 3)
    assert table[7, 1] == singular_values(START[1], times[7], 4, 7).value
    assert singular_values([], 1.0, 4, 7).value.shape == (0,)
    assert singular_values(np.full(10**5, 0.3), 4000.0, 10**5 + 1, 7).value.shape == (10**5,)


def test_the_start_is_returned_as_it_came() -> None:
    starts = [1e-300, 0.1, 1 / 3, 1e200]
    assert singular_values(starts, 0.0, 4, 7).value.tolist() == starts
    assert certified_singular_values([Fraction(1, 4)], Fraction(0), 4, 7, 1) == ("0.2",)  # a tie, to even
    assert certified_singular_values([Fraction(1, 4)], Fraction(1, 10**1000), 4, 7, 1) == ("0.3",)  # just above it


def test_not_converging_is_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_integral, "MOST_STEPS", 1)
    solution = singular_values(START, TIME, 4, 7)
    assert solution.result == "did not converge"
    assert not solution.converged
    assert solution.stats.last_step > first_integral.LAST_STEP


@given(magnitudes(-30.0, 30.0), magnitudes(-30.0, 30.0), class_sizes(), st.integers(1, 60))
def test_digits_of_more_digits_round_to_digits(w0: float, t: float, size: tuple[int, int], digits: int) -> None:
    """Rounded from 40 digits more (never a tie there), the same; and exactly as many digits as asked for."""
    ((text,), (longer,)) = (
        certified_singular_values([Fraction(w0)], Fraction(t), *size, digits=n) for n in (digits, digits + 40)
    )
    shown = text.partition("e")[0].replace(".", "").lstrip("0")
    assert len(shown) == digits
    assert Decimal(text) == Context(digits, ROUND_HALF_EVEN).create_decimal(longer)


def test_inputs_beyond_floats_and_ten_thousand_digits() -> None:
    (tiny,) = certified_singular_values([Fraction(1, 10**9000)], Fraction(10) ** 9000, 4, 7, 20)
    assert tiny == "8.6944174388998280626e+2249"  # (4 t / N)^(1/4)
    (long,) = certified_singular_values([Fraction("2.35060868")], Fraction(4000), 4, 7, 10_000)
    assert len(long) == 10_001
    assert long.startswith("6.40590091305132951874567181651960510626434485051")


@given(st.fractions(), st.integers(1, 40))
def test_rationals_are_rounded_half_to_even(value: Fraction, digits: int) -> None:
    """Against the definition: the nearest multiple of the last place, and the even one of two."""
    text = decimal_string(value, digits)
    if value == 0:
        assert text == "0"
        return
    shown = Decimal(text)
    place = Fraction(10) ** (shown.adjusted() - digits + 1)
    assert Fraction(shown) / place == round(value / place)
    assert len(shown.as_tuple().digits) == digits


@pytest.mark.parametrize("digits", [3, 4])
def test_ties_go_to_the_even_digit(digits: int) -> None:
    assert decimal_string(Fraction(2875, 10000), digits) == {3: "0.288", 4: "0.2875"}[digits]
    assert decimal_string(Fraction(2885, 10000), digits) == {3: "0.288", 4: "0.2885"}[digits]


def test_wide_enclosures_are_narrowed() -> None:
    asked: list[int] = []

    def third(bits: int) -> tuple[Fraction, Fraction]:
        asked.append(bits)
        return Fraction(1, 3) - Fraction(1, 2**bits), Fraction(1, 3) + Fraction(1, 2**bits)

    assert rounded(third, 12, precision=4) == "0.333333333333"
    assert asked == [4, 8, 16, 32, 64]


@given(st.lists(st.fractions(0, 10**6), min_size=1, max_size=20), st.integers(2, 50))
def test_the_loss_is_its_formula(w: list[Fraction], classes: int) -> None:
    exact = sum((1 / (classes + x * x) for x in w), Fraction(0)) / 2
    assert certified_loss(w, classes, 30) == decimal_string(exact, 30)
    assert float(loss([float(x) for x in w], classes)) == pytest.approx(float(exact), rel=1e-14)
    assert decimal_string(exact * (1 + Fraction(1, 10**28)), 30) != certified_loss(w, classes, 30)


def test_the_loss_along_the_path() -> None:
    w = singular_values(START, np.array([0.0, 1e3, 1e12])[:, None], 4, 7).value
    assert loss(w, 4).shape == (3,)
    assert float(loss(w, 4)[2]) == pytest.approx(1.5 * math.sqrt(7 / 4e12), rel=1e-3)
    assert float(loss([1e200], 4)) == 0.0


BAD = {
    "zero start": (lambda: singular_values([0.0], 1.0, 4, 7), "w0 > 0"),
    "negative start": (lambda: certified_singular_values([Fraction(-1)], Fraction(1), 4, 7, 9), "w0 > 0"),
    "nan start": (lambda: singular_values([math.nan], 1.0, 4, 7), "finite singular values"),
    "infinite start": (lambda: singular_values([math.inf], 1.0, 4, 7), "finite singular values"),
    "before the start": (lambda: singular_values([1.0], -1.0, 4, 7), "not before the start"),
    "before the start, certified": (lambda: certified_singular_values([Fraction(1)], Fraction(-1), 4, 7, 9), "t >= 0"),
    "nan time": (lambda: singular_values([1.0], math.nan, 4, 7), "t >= 0"),
    "infinite time": (lambda: singular_values([1.0], math.inf, 4, 7), "finite times"),
    "one class": (lambda: singular_values([1.0], 1.0, 1, 7), "classes"),
    "half a class": (lambda: loss([1.0], 2.5), "classes"),  # pyrefly: ignore
    "one sample": (lambda: singular_values([1.0], 1.0, 4, 1), "per_class"),
    "too many": (lambda: singular_values([1.0], 1.0, 2**53 + 1, 7), "2^53"),
    "no digits": (lambda: certified_singular_values([Fraction(1)], Fraction(1), 4, 7, 0), "1 to 10000"),
    "too many digits": (lambda: certified_loss([Fraction(1)], 4, 10_001), "1 to 10000"),
    "negative w": (lambda: loss([-1.0], 4), "w >= 0"),
    "negative w, certified": (lambda: certified_loss([Fraction(-1)], 4, 5), "w >= 0"),
    "nan w": (lambda: loss([math.nan], 4), "w >= 0"),
    "no w": (lambda: certified_loss([], 4, 5), "w >= 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_one_line(name: str) -> None:
    refuses(*BAD[name])
