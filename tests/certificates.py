"""Certificates as JSON, written by hand or with one token changed."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

Json = Any
Path = tuple[str | int, ...]

# ---- writing by hand


def term(value: str = "1", mono: Json = None, traces: Json = None, word: Json = None) -> Json:
    return [value, mono or {}, traces or [], word]


def scalar(*terms: Json) -> Json:
    return {"shape": None, "terms": list(terms)}


def matrix(rows: Json, cols: Json, *terms: Json) -> Json:
    return {"shape": [rows, cols], "terms": list(terms)}


def size(name: str | int, minus: int = 0) -> Json:
    """The size called ``name``, or a number; ``minus`` is taken off."""
    terms = [[str(name), {}]] if isinstance(name, int) else [["1", {name: 1}]]
    return [*terms, [str(-minus), {}]] if minus else terms


def integers(low: int | None) -> Json:
    return {"low": None if low is None else str(low), "open": False, "integer": True}


def reals(low: int | None, open: bool = False) -> Json:
    return {"low": None if low is None else str(low), "open": open, "integer": False}


def letter(name: str, rows: Json, cols: Json, **kind: Json) -> Json:
    return {"name": name, "rows": rows, "cols": cols, **kind}


def says(kind: str, poly: Json, **more: Json) -> Json:
    return {"kind": kind, "poly": poly, **more}


def step(name: str, rule: str, statement: Json, **data: Json) -> Json:
    return {"name": name, "rule": rule, "statement": statement, "data": data}


def certificate(
    *steps: Json, parameters: Json = None, letters: Json = None, hypotheses: Json = None, model: Json = None
) -> Json:
    """A document whose last step is its statement; ``hypotheses`` maps names to statements."""
    return {
        "format": 1,
        "parameters": parameters or {},
        "letters": letters or [],
        "hypotheses": [{"name": name, "statement": statement} for name, statement in (hypotheses or {}).items()],
        "statement": steps[-1]["statement"],
        "steps": list(steps),
        "model": model or {"parameters": dict.fromkeys(parameters or {}, "2"), "letters": {}},
    }


def calculus(kind: str, tree: Json, variable: str = "x", **generators: Json) -> Json:
    return {"kind": kind, "calculus": {"variable": variable, "generators": generators, "tree": tree}}


def scalar_certificate(
    rule: str, kind: str, tree: Json, parameters: Json = None, variable: str = "x", **generators: Json
) -> Json:
    """One step of scalar calculus."""
    statement = calculus(kind, tree, variable, **generators)
    return certificate(step("only", rule, statement), parameters=parameters or {"x": reals(0, open=True)})


# ---- one token changed


def places(data: Json, path: Path = ()) -> Iterator[tuple[Path, Json]]:
    """Every part of a document with its path, the document first."""
    yield path, data
    for key, part in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from places(part, (*path, key))


def at(data: Json, path: Path) -> Json:
    for key in path:
        data = data[key]
    return data


def changed(data: Json, path: Path, value: Json) -> Json:
    """A copy with another value at the path."""
    result = copy.deepcopy(data)
    at(result, path[:-1])[path[-1]] = value
    return result


def mutants(document: Json, rules: list[str], count: int, seed: int, below: str = "") -> list[tuple[str, Path, Json]]:
    """(what changed, where, the changed part) at ``count`` random places; :func:`changed` puts the part in.

    ``below`` is a key of the document, left out for all of it. Where several changes are possible one is drawn.
    """
    rng = random.Random(seed)
    spots = [(path, part) for path, part in places(document) if path and path != ("claim",)]
    spots = [(path, part) for path, part in spots if path[0] == below or not below]
    letters = [entry["name"] for entry in document["letters"]]
    names = [entry["name"] for key in ("hypotheses", "steps") for entry in document[key]]
    found = []
    for path, part in rng.sample(spots, min(count, len(spots))):
        changes = list(_changes(part, path, letters, names, rules))
        if changes:
            kind, other = rng.choice(changes)
            found.append((kind, path, other))
    return found


def _changes(
    part: Json, path: Path, letters: list[str], names: list[str], rules: list[str]
) -> Iterator[tuple[str, Json]]:
    if isinstance(part, bool):
        yield "flag", not part
    elif isinstance(part, int):
        yield from (("exponent", part + d) for d in (-1, 1))
    elif isinstance(part, str):
        yield from (("word", other) for other in _other_words(part, path, letters, names, rules))
    elif isinstance(part, dict):
        yield from (("drop", {k: v for k, v in part.items() if k != key}) for key in part)
    elif isinstance(part, list):
        for i in range(len(part)):
            yield "drop", part[:i] + part[i + 1 :]
            yield "duplicate", part[: i + 1] + part[i:]
        for i in range(len(part) - 1):
            if part[i] != part[i + 1]:
                yield "reorder", [*part[:i], part[i + 1], part[i], *part[i + 2 :]]


def _other_words(text: str, path: Path, letters: list[str], names: list[str], rules: list[str]) -> Iterator[str]:
    if text.removeprefix("-").replace("/", "").isdigit():
        top, _, bottom = text.partition("/")
        yield from (f"{int(top) + 1}/{bottom or 1}", f"{-int(top)}/{bottom or 1}" if int(top) else "1", f"{top}/7")
    elif text in rules and path[-1] == "rule":
        yield from (rule for rule in rules if rule != text)
    elif text in names:
        yield from (name for name in names if name != text)
    elif text.removesuffix("'") in letters:
        yield text.removesuffix("'") if text.endswith("'") else text + "'"
        yield letters[(letters.index(text.removesuffix("'")) + 1) % len(letters)]
    else:
        yield text + "x"
