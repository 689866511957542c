"""What every solver returns: value, result, stats. Not converging is a value, with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

__all__ = ["Result", "Solution"]

V = TypeVar("V")
S = TypeVar("S")


class Result(StrEnum):
    """How a solver ended; for a batch, the worst of its members."""

    CONVERGED = "converged"
    NOT_CONVERGED = "did not converge"


@dataclass(frozen=True, eq=False)
class Solution(Generic[V, S]):
    """`value` is the point found, `stats` how good it is; a claim that rests on `not converged` is open.

    >>> from tightframe.numerics.solution import Result, Solution
    >>> Solution(value=1.0, result=Result.NOT_CONVERGED, stats={"steps": 100}).converged
    False
    """

    value: V
    result: Result
    stats: S

    @property
    def converged(self) -> bool:
        """Whether the whole batch converged."""
        return self.result is Result.CONVERGED
