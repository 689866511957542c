"""Row 9: certificates of all claims, searched and checked from cold, and replayed by the checker."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping

from run import Comparison, Contender, duration
from tightframe.papers import registry, verification
from tightframe.theory.derivation import Proof
from tightframe.theory.proof import checker

ROWS = (9,)  # of the comparisons
PAPERS = ("han2022", "dang2023", "garrod2025")  # those that the time wanted is for


def search(spent: dict[str, float]) -> None:
    """Every derivation built, proved and checked anew; the seconds that each claim takes."""
    for claim in registry.claims().values():
        began = time.perf_counter()
        if claim.derive is not None and not isinstance(claim.derive().prove(claim.id), Proof):
            raise ValueError(f"{claim.id} is not proved")
        spent[claim.id] = time.perf_counter() - began


def table(spent: Mapping[str, float]) -> str:
    """The slowest claims first, the papers that the time is wanted for, and the total."""
    rows = [f"| {name} | {duration(seconds)} |" for name, seconds in sorted(spent.items(), key=lambda item: -item[1])]
    three = sum(seconds for name, seconds in spent.items() if name.partition("/")[0] in PAPERS)
    rows += [f"| {', '.join(PAPERS)} | {duration(three)} |", f"| all | {duration(sum(spent.values()))} |"]
    return "\n".join(["| claim | search |", "|---|---|", *rows])


def replay(certificates: Iterable[Mapping[str, object]]) -> None:
    for certificate in certificates:
        checker.check(certificate)


def comparisons() -> Iterator[Comparison]:
    """The baseline is the search; what `verify --recheck` does binds every certificate to its claim as well."""
    certificates = [verification.shipped_certificate(name) for name in registry.claims()]
    shipped = [certificate for certificate in certificates if certificate is not None]
    spent: dict[str, float] = {}
    yield Comparison(
        9,
        f"certificates of {len(shipped)} claims",
        "none, proofs are exact",
        "all claims from cold in less than 30 s, replayed in less than 2 s",
        (
            Contender("search, with the checker's judgement, once", lambda: search(spent), once=True),
            Contender("`verify --recheck`: replay and binding", lambda: verification.recheck()),
            Contender("the checker alone", lambda: replay(shipped)),
        ),
        lambda: table(spent),
    )
