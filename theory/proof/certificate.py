"""Certificates as JSON documents: what is written here is what the checker reads, and what a claim's hash covers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import Any, TypeVar

import sympy as sp

from .checker import (
    FORMAT,
    Algebra,
    Calculus,
    Dimension,
    Inequality,
    Matrix,
    Model,
    Monomial,
    Polynomial,
    Rejected,
    Statement,
    Word,
    identity_matrix,
)
from .translation import Translation

Values = Mapping[sp.Basic, Any]  # symbols to rationals, matrix symbols to rows of rationals


def monomial_json(mono: Monomial) -> dict[str, int]:
    return dict(mono)


def dimension_json(size: Dimension) -> list[Any]:
    return [[str(value), monomial_json(mono)] for mono, value in size]


def polynomial_json(poly: Polynomial) -> dict[str, Any]:
    shape = None if poly.shape is None else [dimension_json(size) for size in poly.shape]
    terms = [
        [str(value), monomial_json(mono), [list(cycle) for cycle in traces], None if word is None else list(word)]
        for (mono, traces, word), value in sorted(poly.terms.items(), key=lambda item: str(item[0]))
    ]
    return {"shape": shape, "terms": terms}


def statement_json(statement: Statement) -> dict[str, Any]:
    if statement.parts:
        return {"kind": statement.kind, "parts": [statement_json(part) for part in statement.parts]}
    if statement.inequality is not None:
        return {"kind": statement.kind, **inequality_json(statement.inequality)}
    if statement.calculus is not None:
        scalar: dict[str, Any] = {"kind": statement.kind, "calculus": calculus_json(statement.calculus)}
        if statement.motion is not None:
            motion = {item.name: getattr(statement.motion, item.name) for item in fields(statement.motion)}
            scalar |= {name: str(x) if isinstance(x, int) else plain(x) for name, x in motion.items()}
        return scalar
    data: dict[str, Any] = {"kind": statement.kind, "poly": polynomial_json(statement.target)}
    if statement.over:
        data["over"] = list(statement.over)
    if statement.at:
        data["at"] = [polynomial_json(point) for point in statement.at]
    if statement.value is not None:
        data |= {"value": polynomial_json(statement.value), "unique": statement.unique}
    if statement.other is not None:
        data |= {"other": polynomial_json(statement.other), "other_over": list(statement.other_over)}
    return data


def plain(tree: Any) -> Any:
    """A tree as nested lists."""
    return tree if isinstance(tree, str) else [plain(part) for part in tree]


def inequality_json(inequality: Inequality) -> dict[str, Any]:
    boxes = [
        {name: [None if end is None else str(end) for end in ends] for name, *ends in box} for box in inequality.boxes
    ]
    return {"tree": plain(inequality.tree), "boxes": boxes}


def calculus_json(calculus: Calculus) -> dict[str, Any]:
    generators = {name: plain(rule) for name, rule in calculus.generators}
    return {"variable": calculus.variable, "generators": generators, "tree": plain(calculus.tree)}


def declarations_json(algebra: Algebra, order: Sequence[str] | None = None) -> dict[str, Any]:
    """Parameters and letters; definitions follow what they mention."""
    parameters = {
        name: {"low": None if b.low is None else str(b.low), "open": b.open, "integer": b.integer}
        for name, b in sorted(algebra.parameters.items())
    }
    letters: list[dict[str, Any]] = []
    done = set(algebra.parameters)

    def declare(name: str) -> None:
        if name in done:
            return
        done.add(name)
        inner = algebra.definition(name)
        if inner is not None:
            for needed in sorted(algebra.names(inner)):
                declare(needed)
        if name in algebra.powers:
            base, exponent = algebra.powers[name]
            letters.append({"name": name, "power_of": polynomial_json(base), "exponent": dimension_json(exponent)})
            return
        if name in algebra.reciprocals:
            letters.append({"name": name, "scalar": True, "inverse_of": polynomial_json(algebra.reciprocals[name])})
            return
        letter = algebra.letters[name]
        entry: dict[str, Any] = {
            "name": name,
            "rows": dimension_json(letter.rows),
            "cols": dimension_json(letter.cols),
        }
        entry |= {flag: True for flag in ("symmetric", "ones") if getattr(letter, flag)}
        if inner is not None:
            entry["inverse_of" if letter.equals is None else "equals"] = polynomial_json(inner)
        letters.append(entry)

    for name in order if order is not None else (*algebra.letters, *algebra.reciprocals, *algebra.powers):
        declare(name)
    return {"parameters": parameters, "letters": letters}


def content_hash(data: Any) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the canonical JSON."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def binding(document: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a certificate that says *what* is proved: statement, hypotheses, and every letter in them."""
    hypotheses = document["hypotheses"]
    needed = _strings([document["statement"], hypotheses])
    letters = [entry for entry in document["letters"] if entry["name"] in needed]
    while True:  # definitions bring in the letters that they mention
        names = {entry["name"] for entry in letters}
        wanted = _strings(letters)
        more = [entry for entry in document["letters"] if entry["name"] in wanted - names]
        if not more:
            break
        letters += more
    return {
        "format": document["format"],
        "parameters": {name: bounds for name, bounds in document["parameters"].items() if name in needed | wanted},
        "letters": sorted(letters, key=lambda entry: str(entry["name"])),
        "hypotheses": hypotheses,
        "statement": document["statement"],
    }


def _strings(data: Any) -> set[str]:
    """All strings in JSON, each with and without the prime of a transpose."""
    found, pending = set[str](), [data]
    while pending:
        part = pending.pop()
        if isinstance(part, str):
            found.add(part)
        elif isinstance(part, dict):
            pending += part
            pending += part.values()
        elif isinstance(part, list):
            pending += part
    return found | {text.removesuffix("'") for text in found}


def head(translation: Translation, hypotheses: Sequence[Mapping[str, Any]], statement: Statement) -> dict[str, Any]:
    """A certificate without steps and model."""
    return {
        "format": FORMAT,
        **declarations_json(translation.algebra),
        "hypotheses": list(hypotheses),
        "statement": statement_json(statement),
    }


# ------------------------------------------------------------------------------------------------- exact models


def exact_inverse(matrix: Matrix) -> Matrix | None:
    """Gauss-Jordan elimination over the rationals; ``None`` if singular."""
    size = len(matrix)
    work = [row[:] + unit for row, unit in zip(matrix, identity_matrix(size), strict=True)]
    for k in range(size):
        pivot = next((i for i in range(k, size) if work[i][k]), None)
        if pivot is None:
            return None
        work[k], work[pivot] = work[pivot], work[k]
        work[k] = [x / work[k][k] for x in work[k]]
        for i in range(size):
            if i != k and work[i][k]:
                factor = work[i][k]
                work[i] = [x - factor * y for x, y in zip(work[i], work[k], strict=True)]
    return [row[size:] for row in work]


V = TypeVar("V")


class Products(dict[Word, V]):
    """Products of letters; those of the letters in ``shared`` alone are kept ``below``, for others to use."""

    def __init__(self, below: dict[Word, V], shared: Collection[str]) -> None:
        super().__init__()
        self.below, self.shared = below, shared

    def __contains__(self, word: object) -> bool:
        return super().__contains__(word) or word in self.below

    def __missing__(self, word: Word) -> V:
        return self.below[word]

    def __setitem__(self, word: Word, value: V) -> None:
        if all(symbol.removesuffix("'") in self.shared for symbol in word):
            self.below[word] = value
        else:
            super().__setitem__(word, value)


@dataclass
class Example(Model):
    """A model for the search, in which FLINT multiplies; the checker multiplies by itself."""

    products: dict[Word, Any] = field(default_factory=dict[Word, Any])  # matrices of FLINT

    def product(self, word: Word, algebra: Algebra) -> Matrix:
        if word not in self.cache:
            found = self._product(word)
            rows, cols = found.nrows(), found.ncols()
            entries = [Fraction(int(x.p), int(x.q)) for x in found.entries()]
            self.cache[word] = [entries[i * cols : (i + 1) * cols] for i in range(rows)]
        return self.cache[word]

    def _product(self, word: Word) -> Any:
        import flint

        if word not in self.products:
            if len(word) == 1:
                rows = self.matrix(word[0])
                entries = [flint.fmpq(x.numerator, x.denominator) for row in rows for x in row]
                self.products[word] = flint.fmpq_mat(len(rows), len(rows[0]), entries)
            else:
                self.products[word] = self._product(word[:-1]) * self._product(word[-1:])
        return self.products[word]


def complete_model(translation: Translation, values: Values, known: Example | None = None) -> Example | None:
    """Exact values of every letter, from values of the free symbols; ``None`` where an inverse does not exist.

    What ``known`` gives a value keeps it, and products of its letters are kept there.
    """
    algebra = translation.algebra
    names = {*algebra.letters, *algebra.reciprocals, *algebra.powers}
    if known is not None and names <= known.letters.keys() | known.parameters.keys():
        return known
    named = {getattr(symbol, "name", str(symbol)): value for symbol, value in values.items()}
    if known is None:
        model = Example({name: Fraction(named[name]) for name in algebra.parameters if name in named}, {})
    else:
        shared = known.letters.keys()
        kept = Products(known.cache, shared), Products(known.products, shared)
        model = Example(dict(known.parameters), dict(known.letters), *kept)
    missing = names - {*model.letters, *model.parameters}
    order = [entry["name"] for entry in declarations_json(algebra)["letters"]] if missing else []
    for name in order:
        if name not in missing:
            continue
        inner = algebra.definition(name)
        try:
            if name in algebra.powers:
                base, exponent = algebra.powers[name]
                model.parameters[name] = model.power(algebra.evaluate(base, model)[0][0], exponent)
            elif inner is not None and inner.shape is None:
                model.parameters[name] = 1 / algebra.evaluate(inner, model)[0][0]
            elif inner is not None and algebra.letters[name].equals is not None:
                model.letters[name] = algebra.evaluate(inner, model)
            elif inner is not None:
                inverse = exact_inverse(algebra.evaluate(inner, model))
                if inverse is None:
                    return None
                model.letters[name] = inverse
            elif algebra.letters[name].ones:
                model.letters[name] = [[Fraction(1)]] * model.size(algebra.letters[name].rows)
            elif name.startswith("diag("):
                entries = [Fraction(row[0]) for row in named[name[5:-1]]]
                model.letters[name] = [
                    [x if i == j else Fraction(0) for j in range(len(entries))] for i, x in enumerate(entries)
                ]
            elif name in named:
                model.letters[name] = [[Fraction(x) for x in row] for row in named[name]]
            elif name in translation.directions:  # any matrix will do
                rows, cols = (model.size(size) for size in (algebra.letters[name].rows, algebra.letters[name].cols))
                model.letters[name] = [[Fraction(i + j) for j in range(cols)] for i in range(rows)]
        except (ZeroDivisionError, Rejected):
            return None
    return model


def model_json(model: Model) -> dict[str, Any]:
    return {
        "parameters": {name: str(value) for name, value in sorted(model.parameters.items())},
        "letters": {name: [[str(x) for x in row] for row in value] for name, value in sorted(model.letters.items())},
    }
