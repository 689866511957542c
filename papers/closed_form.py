"""Predictions from formulas: what ``predict`` evaluates for a claim whose closed form is written in sympy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import sympy as sp

from ..theory.proof import box
from ..theory.proof.translation import Translation
from ..theory.rounding import decimal_string, rounded
from .domain import Parameter
from .prediction import Input, Prediction, Values

MOST_BITS = 2**16  # a number that has no decimals by then is one that enclosures cannot round


def closed_form(formulas: Mapping[str, Any], parameters: Sequence[Parameter]) -> Prediction:
    """A prediction that evaluates formulas in parameters: rational numbers exactly, others with certified digits.

    Raises:
        ValueError: if a formula mentions what is no parameter, or a function that has no enclosures.

    Examples:
        >>> from tightframe.theory.symbols import lam, reals
        >>> found = closed_form({"least": sp.sqrt(lam) / 2}, [Parameter(lam, reals(0, open=True), "decay")])
        >>> found.evaluate({"lambda": "4"})["values"], found.evaluate({"lambda": "2"}, 10)["values"]
        ({'least': 1.0}, {'least': '0.7071067812'})
    """
    read = {name: sp.sympify(formula, strict=True) for name, formula in formulas.items()}
    used = set[Any]().union(*(formula.free_symbols for formula in read.values()))
    unknown = used - {parameter.symbol for parameter in parameters}
    if unknown:
        raise ValueError(f"the closed form mentions {min(map(str, unknown))}, which has no range")
    given = [parameter for parameter in parameters if parameter.symbol in used]
    translation = Translation({parameter.symbol: parameter.range for parameter in given})
    for formula in read.values():
        translation.elementary(formula)

    def compute(values: Values, digits: int | None) -> dict[str, Any]:
        point = {p.symbol: sp.Rational(str(Fraction(values[p.symbol.name]))) for p in given}
        return {name: _value(formula.subs(point), digits) for name, formula in read.items()}

    return Prediction(tuple(Input(p.symbol.name, p.range, p.says) for p in given), compute)


def _value(exact: Any, digits: int | None) -> Any:
    """A float, or the number to so many digits."""
    if isinstance(exact, sp.Rational):
        number = Fraction(int(exact.p), int(exact.q))
        return float(number) if digits is None else decimal_string(number, digits)
    tree = Translation({}).elementary(exact)

    def enclosure(bits: int) -> tuple[Any, Any]:
        import flint

        if bits > MOST_BITS:
            raise ValueError("the closed form cannot be rounded: its value is not known to be no tie")
        with flint.ctx.workprec(bits):
            try:
                value = box.ball(tree, {})
            except box.Undecided:
                return Fraction(-1), Fraction(1)  # not at this precision
            except box.Undefined:
                raise ValueError("the closed form has no value there") from None
            if not value.is_finite():
                raise ValueError("the closed form has no value there")
            return value.lower().fmpq(), value.upper().fmpq()

    return float(rounded(enclosure, 17, 128)) if digits is None else rounded(enclosure, digits, 4 * digits + 64)
