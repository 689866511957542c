"""What a claim predicts: its closed form at given numbers, in floats or with certified digits."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact
from fractions import Fraction
from numbers import Rational, Real
from pathlib import Path
from typing import Any

from ..theory.proof.checker import Range
from .files import read_bounded

Values = Mapping[str, Any]

MAX_CHARACTERS = 4_000  # of one number: shorter than the longest that Python converts
MAX_EXPONENT = 10_000
MAX_MIB = 64  # of a file; 10^6 numbers of full length fit


@dataclass(frozen=True)
class Input:
    """A number, or a list of numbers, that a prediction or an experiment takes; ``range`` is that of each number.

    Without a ``default`` it has to be given, unless it is ``optional``: then there is no value where none is given.
    """

    name: str
    range: Range
    says: str
    many: bool = False
    default: Any = None
    optional: bool = False

    def expected(self) -> str:
        """What is accepted, in words."""
        low = self.range.low
        bound = "" if low is None else f" {'>' if self.range.open else '>='} {low}"
        if self.many:
            return f"{'integers' if self.range.integer else 'finite numbers'}{bound}, separated by commas"
        return f"{'an integer' if self.range.integer else 'a finite number'}{bound}"

    def refuse(self, got: str) -> ValueError:
        return ValueError(f"{self.name} ({self.says}): expected {self.expected()}, got {got}")

    def read(self, given: Any) -> Any:
        """The exact value of a text or of Python numbers: an int or a Fraction, or a tuple of them.

        Raises:
            ValueError: in one line, if it is not what is expected.
        """
        if isinstance(given, str):
            words = _words(self.name, given)
        elif isinstance(given, Sequence) or hasattr(given, "tolist"):  # an array of numpy or torch
            listed = given.tolist() if hasattr(given, "tolist") else given
            words = list(listed) if isinstance(listed, Sequence) else [listed]
        else:
            words = [given]
        if not self.many and len(words) != 1:
            raise self.refuse(f"{len(words)} values")
        if self.many and not words:
            raise self.refuse("none")
        numbers = self._integers(words) or tuple(self._number(word) for word in words)
        return numbers if self.many else numbers[0]

    def _integers(self, words: Sequence[Any]) -> tuple[int, ...] | None:
        """The numbers, if all are plain integers in the range: a quick way to read long lists."""
        plainly = all(
            type(word) is int or (type(word) is str and len(word) <= 18 and word.isascii() and word.isdigit())
            for word in words
        )
        if not (self.range.integer and plainly):
            return None
        numbers = tuple(map(int, words))
        return numbers if Fraction(min(numbers)) in self.range and Fraction(max(numbers)) in self.range else None

    def _number(self, word: Any) -> int | Fraction:
        try:
            number = exact(word)
        except ValueError as error:
            raise self.refuse(str(error)) from None
        if number not in self.range:
            raise self.refuse(_shown(word))
        return number.numerator if self.range.integer else number


@dataclass(frozen=True)
class Word:
    """A text, or several, that an experiment takes; where there are ``options``, each is one of them."""

    name: str
    says: str
    options: tuple[str, ...] = ()
    many: bool = False
    default: str | None = None
    optional: bool = False

    def with_default(self, default: str) -> Word:
        return replace(self, default=default)

    def expected(self) -> str:
        """What is accepted, in words."""
        if not self.options:
            return "a text"
        return f"{'some' if self.many else 'one'} of {', '.join(self.options)}"

    def read(self, given: Any) -> Any:
        """The text, or a tuple of texts: as they are, or separated by commas.

        Raises:
            ValueError: in one line, if it is not what is expected.

        Examples:
            >>> Word("loss", "loss functions", ("mse", "ce"), many=True).read("ce, mse")
            ('ce', 'mse')
        """
        given = str(given) if isinstance(given, Path) else given
        listed = given.split(",") if isinstance(given, str) and self.many else given
        words = tuple(listed) if self.many and isinstance(listed, Sequence) else (listed,)
        words = tuple(word.strip() if isinstance(word, str) else word for word in words)
        if not words or not all(isinstance(word, str) and word for word in words):
            raise ValueError(f"{self.name} ({self.says}): expected {self.expected()}, got {_shown(given)}")
        for word in words:
            if self.options and word not in self.options:
                raise ValueError(f"{self.name} ({self.says}): expected {self.expected()}, got {_shown(word)}")
        return tuple(dict.fromkeys(words)) if self.many else words[0]


def _shown(word: Any) -> str:
    text = word if isinstance(word, str) else str(word)
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= 40 else f"{text[:40]}..."


_NUMBER = re.compile(r"([+-]?)(?:(\d+)/(\d+)|(?=\.?\d)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?)", re.ASCII)


def exact(given: Any) -> Fraction:
    """The exact value of a decimal, a fraction, or a number of Python; a float means the binary fraction that it is.

    Raises:
        ValueError: with the text that was given, if it is no finite number.

    Examples:
        >>> exact("0.1"), exact("1e-3"), exact("-3/7"), exact(0.25)
        (Fraction(1, 10), Fraction(1, 1000), Fraction(-3, 7), Fraction(1, 4))
    """
    if isinstance(given, Decimal):
        return exact(str(given))
    if not isinstance(given, str):
        if isinstance(given, Rational) and not isinstance(given, bool):
            return Fraction(int(given.numerator), int(given.denominator))
        if isinstance(given, Real) and not isinstance(given, bool) and math.isfinite(given):
            return Fraction(float(given))
        raise ValueError(_shown(given if isinstance(given, Real) else repr(given)))
    text = given.strip()
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"a number of more than {MAX_CHARACTERS} characters")
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ValueError(_shown(given) if text else "nothing")
    sign, above, below, whole, part, power = match.groups()
    factor = -1 if sign == "-" else 1
    if above is not None:
        if int(below) == 0:
            raise ValueError(_shown(given))
        return Fraction(factor * int(above), int(below))
    if part is None and power is None:
        return Fraction(factor * int(whole))
    exponent = int(power or 0)
    if abs(exponent) > MAX_EXPONENT:
        raise ValueError(f"{_shown(given)}, with an exponent beyond {MAX_EXPONENT}")
    digits = factor * int(whole + (part or ""))
    exponent -= len(part or "")
    return Fraction(digits * 10**exponent) if exponent >= 0 else Fraction(digits, 10**-exponent)


def _words(name: str, text: str) -> list[str]:
    """The words of ``1,2,3``, or of the file of ``@FILE``: there, spaces and new lines separate too."""
    if not text.startswith("@"):
        return text.split(",")
    path = Path(text[1:])
    try:
        content = read_bounded(path, MAX_MIB, repr(str(path)))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    try:
        lines = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{name}: expected numbers in {str(path)!r}, got bytes that are no text") from None
    pieces = re.split(r"\s*,\s*|\s+", lines.strip())
    return pieces[:-1] if len(pieces) > 1 and not pieces[-1] else pieces  # a comma after the last number is harmless


def settings(words: Iterable[str]) -> dict[str, str]:
    """``name=value`` words as a dictionary.

    Raises:
        ValueError: if one is not of that form, or a name is given twice.
    """
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = (part.strip() for part in word.partition("="))
        if not equals or not name:
            raise ValueError(f"expected --set name=value, got {_shown(word)!r}")
        if name in found:
            raise ValueError(f"{_shown(name)} is set twice")
        found[name] = value
    return found


def read(inputs: Sequence[Input | Word], given: Values) -> dict[str, Any]:
    """The exact values of all inputs, in their order, defaults included.

    Raises:
        ValueError: in one line, for an unknown or missing name or a wrong value.
    """
    known = ", ".join(each.name for each in inputs)
    for name in given:
        if name not in [each.name for each in inputs]:
            raise ValueError(f"unknown name {_shown(name)!r}; known: {known}")
    values: dict[str, Any] = {}
    for each in inputs:
        if each.name in given:
            values[each.name] = each.read(given[each.name])
        elif each.default is not None:
            values[each.name] = each.read(each.default)
        elif not each.optional:
            raise ValueError(f"no value for {each.name} ({each.says}); expected {each.expected()}")
    return values


def to_float(name: str, value: Fraction) -> float:
    """The nearest float.

    Raises:
        ValueError: if it is too large, or not zero and too small, for one.
    """
    try:
        nearest = float(value)
    except OverflowError:
        nearest = math.inf
    if math.isinf(nearest) or (nearest == 0 and value != 0):
        raise ValueError(f"{name}: beyond the range of floats; ask for digits (--digits 17), which have no such limit")
    return nearest


@dataclass(frozen=True)
class Prediction:
    """The closed form of a claim: its inputs, and what computes it.

    ``compute(values, digits)`` gets exact values (integers, Fractions, tuples) and returns numbers by name: floats if
    ``digits`` is ``None``, else strings, correctly rounded to so many significant digits. It raises ``ValueError``, in
    one line, where values do not fit together.
    """

    inputs: tuple[Input, ...]
    compute: Callable[[Values, int | None], dict[str, Any]]

    def evaluate(self, given: Values, digits: int | None = None) -> dict[str, Any]:
        """``{"inputs", "values"}`` for values given as texts or numbers."""
        from ..theory.rounding import check_digits

        if digits is not None:
            check_digits(digits)
        values = read(self.inputs, given)
        computed = self.compute(values, digits)
        return {"inputs": echo(values, digits), "values": computed}


def echo(values: Values, digits: int | None = None) -> dict[str, Any]:
    """Inputs as JSON: integers, floats, or, beside certified digits, the exact numbers as texts."""

    def one(name: str, value: Any) -> Any:
        if isinstance(value, Fraction):
            return _text(value) if digits is not None else to_float(name, value)
        return value

    def all_of(name: str, value: tuple[Any, ...]) -> list[Any]:
        return list(value) if set(map(type, value)) == {int} else [one(name, each) for each in value]

    return {
        name: all_of(name, value) if isinstance(value, tuple) else one(name, value) for name, value in values.items()
    }


def _text(value: Fraction) -> str:
    """The exact value: a decimal if it has a finite one, else a fraction."""
    exactly = Context(MAX_CHARACTERS + 1_000, traps=[Inexact], Emin=MIN_EMIN, Emax=MAX_EMAX)
    try:
        decimal = exactly.divide(Decimal(value.numerator), Decimal(value.denominator)).normalize(exactly)
        return f"{decimal:f}" if -20 <= decimal.adjusted() <= 20 else str(decimal)
    except Inexact:
        return f"{value.numerator}/{value.denominator}"


def predict(claim: str, /, *, digits: int | None = None, **inputs: Any) -> dict[str, Any]:
    """The closed form of a claim at given inputs: what ``tightframe predict ID --json`` prints.

    Inputs are numbers, sequences of numbers, or texts as after ``--set``; texts are exact. Values are floats, or with
    ``digits`` strings that are correctly rounded.

    Raises:
        UnknownName: if no claim has this id.
        LookupError: if the claim has no closed form.
        ValueError: in one line, for inputs that are unknown, missing, or out of range.

    Examples:
        >>> predict("han2022/central-path-loss", C=4, w=(2, 1, 0))["values"]
        {'loss': 0.2875}
        >>> predict("han2022/central-path-loss", digits=20, C=3, w="1/3, 0.1")["values"]
        {'loss': '0.32682724252491694352'}
    """
    return of_claim(claim, inputs, digits)


def of_claim(claim: str, inputs: Values, digits: int | None = None) -> dict[str, Any]:
    """`predict` with the inputs as a dictionary."""
    from . import registry

    found = registry.find(claim)
    if found.predict is None:
        paper = claim.partition("/")[0]
        known = [other.id for other in registry.claims().values() if other.predict is not None]
        near = ", ".join(name for name in known if name.startswith(f"{paper}/")) or ", ".join(known)
        raise LookupError(f"{claim} has no closed form to evaluate; those that have one: {near}")
    return {"claim": claim} | found.predict.evaluate(inputs, digits)


def computed(claim: str, values: Values) -> dict[str, Any]:
    """The closed form of a claim at exact values, which are not read again: what a sweep asks for every configuration.

    Examples:
        >>> computed("han2022/central-path-loss", {"C": 4, "w": (2, 1, 0)})
        {'loss': 0.2875}
    """
    from . import registry

    found = registry.find(claim).predict
    assert found is not None, claim
    return found.compute(values, None)


def plain(values: Values) -> str:
    """``name = value`` lines."""

    def one(value: Any) -> str:
        return str(value).lower() if isinstance(value, bool) or value is None else str(value)

    return "\n".join(
        f"{name} = {', '.join(map(one, value)) if isinstance(value, (list, tuple)) else one(value)}"
        for name, value in values.items()
    )


def numbered(name: str, values: Values) -> Any:
    """The values of a list with one number for each SNR singular value, of which there are C - 1.

    Raises:
        ValueError: if there are more or fewer.
    """
    found, wanted = values[name], values["C"] - 1
    if len(found) != wanted:
        raise ValueError(f"{name}: expected C - 1 = {wanted} values, got {len(found)}")
    return found
