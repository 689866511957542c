"""Finds every module of this package that defines a ``PAPER``, and the claims in it."""

from __future__ import annotations

import difflib
import importlib
import json
import pkgutil
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .claim import Claim, Paper

_FOLDER = Path(__file__).resolve().parent


class UnknownName(LookupError):
    """No paper or claim has this name; the message suggests the nearest."""


def _defines_paper(name: str) -> bool:
    sources = (_FOLDER / f"{name}.py", _FOLDER / name / "__init__.py")
    return any(source.is_file() and "\nPAPER = " in source.read_text(encoding="utf-8") for source in sources)


@cache
def papers() -> dict[str, Paper]:
    """All papers by key; our own claims (key ``tightframe``) come last."""
    names = [module.name for module in pkgutil.iter_modules([str(_FOLDER)]) if _defines_paper(module.name)]
    found = {name: importlib.import_module(f"{__package__}.{name}").PAPER for name in names}
    for name, paper in found.items():
        if paper.key != name:
            raise ValueError(f"the paper in {name} has the key {paper.key!r}")
    return dict(sorted(found.items(), key=lambda item: (item[0] == "tightframe", item[0])))


@cache
def claims() -> dict[str, Claim]:
    """All claims by id, in the order of their papers."""
    found: dict[str, Claim] = {}
    for paper in papers().values():
        for claim in paper.claims:
            if claim.id in found:
                raise ValueError(f"two claims have the id {claim.id}")
            found[claim.id] = claim
    return found


def _nearest(name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
    slugs = [other for other in names if other.endswith("/" + name.rpartition("/")[2])]
    return (slugs or close or ["none"])[0]


def find(name: str) -> Claim:
    """The claim with this id.

    Raises:
        UnknownName: naming the nearest id.
    """
    key = name.partition("/")[0]
    if key.isidentifier() and _defines_paper(key):  # one paper loads in a fraction of the time of all
        paper: Paper = importlib.import_module(f"{__package__}.{key}").PAPER
        for claim in paper.claims:
            if claim.id == name:
                return claim
    if name not in claims():
        raise UnknownName(f"no claim is called {name!r}; the nearest is {_nearest(name, claims())}")
    return claims()[name]


def paper(key: str) -> Paper:
    """The paper with this key.

    Raises:
        UnknownName: naming the nearest key.
    """
    if key not in papers():
        raise UnknownName(f"no paper is called {key!r}; known: {', '.join(papers())}")
    return papers()[key]


def corrected_by(claim: Claim) -> str | None:
    """The claim of our own that replaces this one, if there is one."""
    return next((other.id for other in claims().values() if other.corrects == claim.id), None)


def sharpened_by(claim: Claim) -> list[str]:
    """The claims of our own that say the same on a larger domain."""
    return [other.id for other in claims().values() if other.sharpens == claim.id]


def depends(claim: Claim, certificate: Mapping[str, Any] | None) -> list[str]:
    """The claims whose statement is a step of the certificate (with the same definitions of its letters)."""
    if certificate is None:
        return []
    said = [step["statement"] for step in certificate["steps"][:-1]]
    letters = {letter["name"]: letter for letter in certificate["letters"]}
    return [
        other.id
        for other in claims().values()
        if other.id != claim.id
        and other.normal_form["statement"] in said
        and all(
            letters.get(letter["name"]) == letter for letter in other.normal_form["letters"] if used_in(other, letter)
        )
    ]


def used_in(claim: Claim, letter: Mapping[str, Any]) -> bool:
    return f'"{letter["name"]}' in json.dumps(claim.normal_form["statement"])
