"""Replacing symbols in statements, for display: by letters of another notation, or by values; nothing is decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from fractions import Fraction
from typing import Any

import sympy as sp

from ...theory.proof.statement import Between, Exceeds, Statement


class NotReplaceable(ValueError):
    """A symbol that a statement binds was to be replaced by something that is no symbol."""


def substituted(says: Statement, new: Mapping[Any, Any]) -> Statement:
    """The statement with symbols replaced everywhere in it, those that it binds included.

    Raises:
        NotReplaceable: if a symbol that the statement binds (the variable of a limit, say) would become a number.

    Examples:
        >>> from tightframe.theory.proof.statement import Equal
        >>> from tightframe.theory.symbols import C, N
        >>> substituted(Equal(N, 2 * C), {C: sp.Symbol("K")}).latex()
        'N = 2 K'
    """
    if isinstance(says, Exceeds) and says.domain:
        boxes = [_box(box, new) for box in says.domain]
        says = replace(says, domain=tuple(box for box in boxes if box is not None))
        if not says.domain:
            raise NotReplaceable("no part of the domain of the statement is left")
    return replace(says, **{item.name: _of(getattr(says, item.name), item.name, new) for item in fields(says)})


def _of(value: Any, name: str, new: Mapping[Any, Any]) -> Any:
    if isinstance(value, tuple):
        return tuple(_of(part, name, new) for part in value)
    if isinstance(value, Statement):
        return substituted(value, new)
    if isinstance(value, Between):
        return replace(value, symbol=new.get(value.symbol, value.symbol))
    if not isinstance(value, sp.Basic):
        return value
    found = value.xreplace(dict(new))
    bound = name in ("variable", "over", "left_over", "right_over")
    if bound and not isinstance(found, sp.Symbol | sp.MatrixSymbol):
        raise NotReplaceable(f"{value} is the variable of the statement and has to stay a symbol")
    return found


def _box(box: Iterable[Between], new: Mapping[Any, Any]) -> tuple[Between, ...] | None:
    """What is left of the conditions of a box; ``None`` if one fails."""
    kept: list[Between] = []
    for side in box:
        value = new.get(side.symbol, side.symbol)
        if not value.is_number:
            kept.append(side)
            continue
        number = Fraction(int(value.p), int(value.q))
        low, high = (None if end is None else Fraction(str(end)) for end in (side.low, side.high))
        if (low is not None and number < low) or (high is not None and number > high):
            return None
    return tuple(kept)


def defined(definitions: Mapping[Any, Any], new: Mapping[Any, Any]) -> dict[Any, Any]:
    """Definitions with symbols replaced, in the names too."""
    every = dict(new)
    return {name.xreplace(every): meaning.xreplace(every) for name, meaning in definitions.items()}
