"""Finds every module of this package that defines a ``PAPER``, and the claims in it; and claims files of one's own.

Claims of one's own come after those of the package: see :mod:`tightframe.papers.claims_files`.
"""

from __future__ import annotations

import difflib
import importlib
import json
import pkgutil
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from . import claims_files
from .claim import Claim, Paper

_FOLDER = Path(__file__).resolve().parent


class UnknownName(LookupError):
    """No paper or claim has this name; the message suggests the nearest."""


def _defines_paper(name: str) -> bool:
    sources = (_FOLDER / f"{name}.py", _FOLDER / name / "__init__.py")
    return any(source.is_file() and "\nPAPER = " in source.read_text(encoding="utf-8") for source in sources)


@cache
def shipped_keys() -> tuple[str, ...]:
    """The keys of the papers of the package; none is imported."""
    return tuple(module.name for module in pkgutil.iter_modules([str(_FOLDER)]) if _defines_paper(module.name))


def _shipped_paper(name: str) -> Paper:
    from .draft import Draft

    found = importlib.import_module(f"{__package__}.{name}").PAPER
    return found.paper() if isinstance(found, Draft) else found


@cache
def _shipped() -> dict[str, Paper]:
    found = {name: _shipped_paper(name) for name in shipped_keys()}
    for name, paper in found.items():
        if paper.key != name:
            raise ValueError(f"the paper in {name} has the key {paper.key!r}")
    return dict(sorted(found.items(), key=lambda item: (item[0] == "tightframe", item[0])))


def _own() -> claims_files.Own:
    return claims_files.own(shipped_keys())


def problems() -> tuple[str, ...]:
    """A line for each claims file that is left out."""
    return _own().problems


def papers() -> dict[str, Paper]:
    """All papers by key; our own claims (key ``tightframe``) come after the others, and then those of the user."""
    return {**_shipped(), **{key: loaded.paper for key, loaded in _own().papers.items()}}


def home(key: str) -> Path:
    """The file in which a paper is defined."""
    own = _own().papers.get(key)
    if own is not None:
        return own.file
    package = _FOLDER / key / "__init__.py"
    return package if package.is_file() else _FOLDER / f"{key}.py"


def is_own(key: str) -> bool:
    """Whether a paper is the user's."""
    return key in _own().papers


def claims() -> dict[str, Claim]:
    """All claims by id, in the order of their papers."""
    return _claims(claims_files.sources())


@cache
def _claims(sources: tuple[claims_files.Source, ...]) -> dict[str, Claim]:
    found: dict[str, Claim] = {}
    for paper in papers().values():
        for claim in paper.claims:
            if claim.id in found:
                raise ValueError(f"two claims have the id {claim.id}")
            found[claim.id] = claim
    return found


def asked() -> dict[str, Claim]:
    """The claims that verbs over all claims mean: those of the files named on the command line, else all."""
    if not claims_files.named:
        return claims()
    loaded = [each for each in _own().papers.values() if each.file in claims_files.named]
    return {claim.id: claim for each in loaded for claim in each.paper.claims}


def _nearest(name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
    slugs = [other for other in names if other.endswith("/" + name.rpartition("/")[2])]
    return (slugs or close or ["none"])[0]


def find(name: str) -> Claim:
    """The claim with this id, or, called ``FILE.py::slug``, of a claims file.

    Raises:
        UnknownName: naming the nearest id.
        ClaimsFileError: if there is something wrong with the file.
    """
    if "::" in name:
        return _find_in_file(name)
    if name.endswith(".py"):
        known = ", ".join(f"{name}::{claim.slug}" for claim in file_claims(name))
        raise UnknownName(f"{name} is a claims file; name one of its claims: {known}")
    key = name.partition("/")[0]
    if key in shipped_keys() or key in _own().papers:  # one paper loads in a fraction of the time of all
        own = _own().papers.get(key)
        for claim in (_shipped_paper(key) if own is None else own.paper).claims:
            if claim.id == name:
                return claim
    if name not in claims():
        raise UnknownName(f"no claim is called {name!r}; the nearest is {_nearest(name, claims())}")
    return claims()[name]


def file_claims(path: Path | str) -> tuple[Claim, ...]:
    """The claims of a claims file, which is used from now on.

    Raises:
        ClaimsFileError: if there is something wrong with it.
    """
    file = claims_files.add(path)
    for loaded in _own().papers.values():
        if loaded.file == file:
            return loaded.paper.claims
    shown = claims_files.shown(file)
    said = next((problem for problem in problems() if shown in problem), f"{shown}: cannot be used")
    raise claims_files.ClaimsFileError(said)


def _find_in_file(name: str) -> Claim:
    path, _, slug = name.rpartition("::")
    found = {claim.slug: claim for claim in file_claims(path)}
    slug = slug.rpartition("/")[2]
    if slug not in found:
        raise UnknownName(f"{path} has no claim {slug!r}; it has: {', '.join(found)}")
    return found[slug]


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
    """The claims that it takes over, and those whose statement is a step of the certificate.

    (With the same definitions of its letters.)
    """
    if certificate is None:
        return list(claim.depends)
    said = [step["statement"] for step in certificate["steps"][:-1]]
    letters = {letter["name"]: letter for letter in certificate["letters"]}
    said_of = [
        other.id
        for other in claims().values()
        if other.id != claim.id
        and other.normal_form["statement"] in said
        and all(
            letters.get(letter["name"]) == letter for letter in other.normal_form["letters"] if used_in(other, letter)
        )
    ]
    return list(dict.fromkeys((*claim.depends, *said_of)))


def used_in(claim: Claim, letter: Mapping[str, Any]) -> bool:
    return f'"{letter["name"]}' in json.dumps(claim.normal_form["statement"])
