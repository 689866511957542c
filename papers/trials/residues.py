"""Matrix equations modulo a prime: quick to evaluate, and what does not vanish there does not vanish over Q."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from ...theory.proof.certificate import Values
from ...theory.proof.checker import Monomial, Polynomial
from ...theory.proof.translation import Translation
from ...theory.proof.walk import unit


class _NoResidue(Exception):
    """A denominator, or the determinant of what is inverted, is zero modulo the prime."""


def vanishes(translation: Translation, poly: Polynomial, values: Values, prime: int) -> bool | None:
    """Whether a polynomial is zero modulo a prime in an example; ``None`` where it has no value there.

    ``False`` is final: the polynomial is not zero over the rational numbers either.

    Examples:
        >>> import sympy as sp
        >>> from tightframe.theory.symbols import integers, n
        >>> A = sp.MatrixSymbol("A", n, n)
        >>> translation = Translation({n: integers(1)})
        >>> slip = translation.matrix(A * A.T - A.T * A)
        >>> vanishes(translation, slip, {n: 2, A: [[1, 2], [3, 4]]}, 101)
        False
    """
    try:
        return _Residues(translation, values, prime).is_zero(poly)
    except (_NoResidue, KeyError):
        return None


class _Residues:
    def __init__(self, translation: Translation, values: Values, prime: int) -> None:
        self.algebra, self.prime = translation.algebra, prime
        self.values = {getattr(symbol, "name", str(symbol)): value for symbol, value in values.items()}
        self.letters: dict[str, Any] = {}

    def number(self, value: Any) -> int:
        fraction = Fraction(value)
        if fraction.denominator % self.prime == 0:
            raise _NoResidue
        return fraction.numerator * pow(fraction.denominator, -1, self.prime) % self.prime

    def scalar(self, name: str) -> int:
        algebra = self.algebra
        if name in algebra.powers:
            base, exponent = algebra.powers[name]
            power = sum(value * self.exact(mono) for mono, value in exponent)
            if power.denominator != 1 or power < 0:
                raise _NoResidue
            return pow(self.sum_of(base), int(power), self.prime)
        if name in algebra.reciprocals:
            below = self.sum_of(algebra.reciprocals[name])
            if below == 0:
                raise _NoResidue
            return pow(below, -1, self.prime)
        return self.number(self.values[name])

    def exact(self, mono: Monomial) -> Fraction:
        found = Fraction(1)
        for name, exponent in mono:
            found *= Fraction(self.values[name]) ** exponent
        return found

    def monomial(self, mono: Monomial) -> int:
        found = 1
        for name, exponent in mono:
            base = self.scalar(name)
            if exponent < 0 and base == 0:
                raise _NoResidue
            found = found * pow(base, exponent, self.prime) % self.prime
        return found

    def size(self, dimension: Any) -> int:
        return int(sum(value * self.exact(mono) for mono, value in dimension))

    def letter(self, symbol: str) -> Any:
        """An ``nmod_mat`` of FLINT."""
        import flint

        if symbol in self.letters:
            return self.letters[symbol]
        name = symbol.removesuffix("'")
        letter = self.algebra.letters[name]
        rows, cols = self.size(letter.rows), self.size(letter.cols)
        if symbol.endswith("'"):
            found = self.letter(name).transpose()
        elif letter.inverse_of is not None:
            inner = self.matrix(letter.inverse_of)
            if int(inner.det()) == 0:
                raise _NoResidue
            found = inner.inv()
        elif letter.equals is not None:
            found = self.matrix(letter.equals)
        elif letter.ones:
            found = flint.nmod_mat(rows, cols, [1] * (rows * cols), self.prime)
        else:
            value = self.values[unit(name)]
            if name.startswith("diag("):
                value = [[row[0] if i == j else 0 for j in range(rows)] for i, row in enumerate(value)]
            found = flint.nmod_mat(rows, cols, [self.number(x) for row in value for x in row], self.prime)
        self.letters[symbol] = found
        return found

    def product(self, word: tuple[str, ...]) -> Any:
        found = self.letter(word[0])
        for symbol in word[1:]:
            found = found * self.letter(symbol)
        return found

    def factor(self, mono: Monomial, traces: tuple[Any, ...], value: Fraction) -> int:
        found = self.number(value) * self.monomial(mono) % self.prime
        for cycle in traces:
            matrix = self.product(cycle)
            found = found * sum(int(matrix[i, i]) for i in range(matrix.nrows())) % self.prime
        return found

    def sum_of(self, poly: Polynomial) -> int:
        return sum(self.factor(mono, traces, value) for (mono, traces, _), value in poly.terms.items()) % self.prime

    def matrix(self, poly: Polynomial) -> Any:
        import flint

        assert poly.shape is not None
        rows, cols = (self.size(dimension) for dimension in poly.shape)
        total = flint.nmod_mat(rows, cols, [0] * (rows * cols), self.prime)
        for (mono, traces, word), value in poly.terms.items():
            if word:
                matrix = self.product(word)
            else:
                entries = [int(i == j) for i in range(rows) for j in range(cols)]
                matrix = flint.nmod_mat(rows, cols, entries, self.prime)
            total = total + matrix * self.factor(mono, traces, value)
        return total

    def is_zero(self, poly: Polynomial) -> bool:
        if poly.shape is None:
            return self.sum_of(poly) == 0
        return all(int(x) == 0 for x in self.matrix(poly).entries())
