"""Correctly rounded decimals: of a rational number, and of a real number known only by ever smaller enclosures."""

from __future__ import annotations

from collections.abc import Callable
from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import flint

    Rational = Fraction | flint.fmpq

MAX_DIGITS = 10_000


def check_digits(digits: object) -> None:
    """ValueError unless the number of digits is an integer from 1 to 10000."""
    if not isinstance(digits, int) or isinstance(digits, bool) or not 1 <= digits <= MAX_DIGITS:
        raise ValueError(f"digits: expected an integer from 1 to {MAX_DIGITS}, got {digits!r}")


def decimal_string(value: Rational, digits: int) -> str:
    """The number to exactly ``digits`` significant digits, half to even; 0 is ``"0"``.

    Plain from 1e-7 up to as many digits as are shown, else with an exponent.

    Examples:
        >>> decimal_string(Fraction(2, 3), 5), decimal_string(Fraction(5, 2), 1), decimal_string(Fraction(7, 2), 1)
        ('0.66667', '2', '4')
        >>> decimal_string(Fraction(-123456), 3), decimal_string(Fraction(1, 4), 4)
        ('-1.23e+5', '0.2500')
    """
    check_digits(digits)
    if value == 0:
        return "0"
    # As many digits as are wanted and at least one more, then one that says whether anything was cut off: a tie is
    # then seen to be one, and nothing else is.
    numerator, denominator = abs(value.numerator), value.denominator  # of flint where that is how it came: quicker
    shift = digits + 2 - int((numerator.bit_length() - denominator.bit_length()) * 0.30103)
    if shift >= 0:
        numerator *= 10**shift
    else:
        denominator *= 10**-shift
    quotient, rest = divmod(numerator, denominator)
    exact = Decimal(10 * int(quotient) + (rest != 0))
    nearest = Context(digits, ROUND_HALF_EVEN, Emin=MIN_EMIN, Emax=MAX_EMAX).plus(exact)
    shown = "".join(map(str, nearest.as_tuple().digits)).ljust(digits, "0")[:digits]
    exponent, sign = nearest.adjusted() - shift - 1, "-" if value < 0 else ""
    if not -7 <= exponent < digits:
        return f"{sign}{shown[0]}{'.' if shown[1:] else ''}{shown[1:]}e{exponent:+d}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{shown}"
    whole, part = shown[: exponent + 1], shown[exponent + 1 :]
    return f"{sign}{whole}{'.' if part else ''}{part}"


def rounded(enclosure: Callable[[int], tuple[Rational, Rational]], digits: int, precision: int) -> str:
    """The number to exactly ``digits`` significant digits, half to even, from certified enclosures of it.

    ``enclosure(bits)`` gives (lower, upper), as narrow as wanted when the bits grow; the precision is doubled, from
    ``precision``, until both ends round to the same. That ends if the number is no tie: never for one that is, such as
    an integer known only by enclosures, so it is for numbers known to be irrational.
    """
    while True:
        lower, upper = (decimal_string(end, digits) for end in enclosure(precision))
        if lower == upper:
            return lower
        precision *= 2
