"""Evidence and verdicts: what was seen about a claim, and the strongest word that it allows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """The closed vocabulary, from strongest to weakest; ``refuted`` stands beside the scale."""

    PROVED = "proved"
    ATTESTED = "attested"
    SUPPORTED = "supported"
    OPEN = "open"
    REFUTED = "refuted"

    @property
    def strength(self) -> int:
        """3 for proved down to 0 for open; a refutation is as strong as a proof."""
        return {"proved": 3, "refuted": 3, "attested": 2, "supported": 1, "open": 0}[self.value]


class Kind(StrEnum):
    """What sort of statement a claim makes; selects the assertion of its property test."""

    IDENTITY = "identity"
    OPTIMUM = "optimum"
    UPPER = "upper"
    LOWER = "lower"
    THRESHOLD = "iff-threshold"
    LIMIT = "limit"
    INVARIANCE = "invariance"
    EXISTENCE = "existence"
    EMPIRICAL = "empirical"


@dataclass(frozen=True)
class Comparison:
    """What simulation measured beside what theory says, flattened, with the largest error that rounding explains.

    Of a limit, the measured values approach the theoretical ones from the first to the last, which is within tolerance.
    Of a threshold, they say on which side an example lies (1 or 0), or what is seen there.
    ``others`` are further measured values that an optimum must not beat. ``converged`` is false if the simulation
    did not: then nothing was measured.
    """

    measured: Sequence[float]
    theoretical: Sequence[float]
    tolerance: float
    others: Sequence[float] = ()
    converged: bool = True


def _agrees(measured: Sequence[float], theoretical: Sequence[float], tolerance: float) -> bool:
    if len(measured) != len(theoretical) or not len(measured):
        return False
    return all(abs(m - t) <= tolerance for m, t in zip(measured, theoretical, strict=True))  # NaN is False


def holds_in(kind: Kind, comparison: Comparison) -> bool:
    """The assertion that the kind of a claim selects, on one example.

    Examples:
        >>> holds_in(Kind.IDENTITY, Comparison([1.0], [1.0 + 1e-12], 1e-9))
        True
        >>> holds_in(Kind.OPTIMUM, Comparison([1.0], [1.0], 1e-9, others=[0.5]))
        False
    """
    measured, theoretical, tolerance = comparison.measured, comparison.theoretical, comparison.tolerance
    match kind:
        case Kind.IDENTITY | Kind.INVARIANCE:
            return _agrees(measured, theoretical, tolerance)
        case Kind.OPTIMUM:
            attained = _agrees(measured, theoretical, tolerance)
            return attained and all(other >= max(theoretical) - tolerance for other in comparison.others)
        case Kind.UPPER:
            return len(measured) > 0 and all(m <= t + tolerance for m, t in zip(measured, theoretical, strict=True))
        case Kind.LOWER:
            return len(measured) > 0 and all(m >= t - tolerance for m, t in zip(measured, theoretical, strict=True))
        case Kind.LIMIT:
            errors = [abs(m - t) for m, t in zip(measured, theoretical, strict=True)]
            falling = all(late <= early + tolerance for early, late in itertools.pairwise(errors))
            return len(errors) > 1 and falling and errors[-1] <= tolerance
        case Kind.THRESHOLD | Kind.EXISTENCE | Kind.EMPIRICAL:
            return _agrees(measured, theoretical, tolerance)


@dataclass(frozen=True)
class Evidence:
    """One piece of evidence.

    ``outcome`` is ``accepted`` (a certificate that the checker re-verified), ``partial`` (one for a part of the claim),
    ``attested`` (an engine decided it, without a certificate), ``refuted``, ``agree``, ``diverge``, ``undecided``,
    ``unavailable`` (nothing was seen: a package is not installed; the detail names it), or ``failed`` (code of the
    user's raised an error); ``coverage`` says of how much of the domain it speaks.
    """

    kind: str
    prover: str
    outcome: str
    coverage: str
    seconds: float
    detail: str

    def json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Evidence:
        """Read what :meth:`json` wrote; raises ``ValueError`` for anything else."""
        words = ("kind", "prover", "outcome", "coverage", "detail")
        seconds = data.get("seconds")
        if set(data) != {*words, "seconds"} or not all(isinstance(data[word], str) for word in words):
            raise ValueError("not a piece of evidence")
        if isinstance(seconds, bool) or not isinstance(seconds, float | int) or not 0 <= seconds < math.inf:
            raise ValueError("not a piece of evidence")
        return cls(data["kind"], data["prover"], data["outcome"], data["coverage"], float(seconds), data["detail"])


@dataclass(frozen=True)
class Outcome:
    """What numbers of an experiment say about a claim: ``agree``, ``partial`` or ``undecided``, where, and how."""

    outcome: str
    coverage: str
    detail: str


def verdict_of(evidence: Sequence[Evidence]) -> Verdict:
    """The verdict that pieces of evidence allow together.

    A refutation and an accepted certificate, or a certificate and a diverging simulation, contradict each other: then
    something is wrong on one side and the verdict is ``open``.

    Examples:
        >>> verdict_of([])
        <Verdict.OPEN: 'open'>
    """
    outcomes = {piece.outcome for piece in evidence}
    if "refuted" in outcomes:
        return Verdict.OPEN if "accepted" in outcomes else Verdict.REFUTED
    if "diverge" in outcomes:
        return Verdict.OPEN
    if "accepted" in outcomes:
        return Verdict.PROVED
    if "attested" in outcomes:
        return Verdict.ATTESTED
    if "agree" in outcomes or ("partial" in outcomes and not outcomes & {"undecided", "unavailable", "failed"}):
        return Verdict.SUPPORTED
    return Verdict.OPEN
