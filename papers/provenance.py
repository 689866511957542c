"""What a piece of evidence rests on: the source of every module in use, and the versions of the engines."""

from __future__ import annotations

import ast
import hashlib
import platform
import re
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent  # the folder that holds theory, numerics and papers
ENGINES = {
    "proof": ("sympy", "python-flint"),
    "property": ("sympy", "numpy", "torch"),
    "sweep": ("numpy", "torch", "pyarrow"),
    "runs": ("numpy", "torch", "scikit-learn"),
}


@cache
def _imports(file: Path) -> tuple[Path, ...]:
    """Modules of the three packages that a file imports, at any depth of its code; of a claims file, those beside."""
    found: list[Path] = []
    for node in _statements(file.read_text(encoding="utf-8")):
        if isinstance(node, ast.Import):
            targets = [base for alias in node.names for base in _absolute(file, alias.name)]
        else:
            bases = _absolute(file, node.module or "")
            if node.level:
                bases = [file.parents[node.level - 1].joinpath(*(node.module or "").split(".") if node.module else ())]
            targets = [target for base in bases for target in (base, *(base / alias.name for alias in node.names))]
        for target in targets:
            found += [path for path in (target.with_suffix(".py"), target / "__init__.py") if path.is_file()]
    return tuple(found)


# An import on lines of its own, and one that is not; to parse only these takes a tenth of the time.
_STATEMENT = re.compile(r"^[ \t]*((?:from|import)[ \t][^\n(]*(?:\([^)]*\))?)", re.MULTILINE)
_BEHIND = re.compile(r"[:;][ \t]*(?:from|import)[ \t]|\\\n")


def _statements(text: str) -> list[ast.Import | ast.ImportFrom]:
    """The imports in a Python file, at any depth of its code."""
    try:
        nodes = [node for found in _STATEMENT.findall(text) for node in ast.parse(found).body]
        whole = _BEHIND.search(text) is not None
    except SyntaxError:  # prose, or a comment inside of the statement
        nodes, whole = list[ast.stmt](), True
    every = ast.walk(ast.parse(text)) if whole else nodes
    return [node for node in every if isinstance(node, ast.Import | ast.ImportFrom)]


def _absolute(file: Path, name: str) -> list[Path]:
    """Where a module may lie that is imported by its full name: in this package, or beside a claims file."""
    first, *others = name.split(".")
    if first == "tightframe":
        return [ROOT.joinpath(*others)]
    return [] if file.is_relative_to(ROOT) else [file.parent.joinpath(first, *others)]


@cache
def source_hash(home: Path, kind: str) -> str:
    """The hash of the source of a paper's file and of everything it imports from the packages.

    Evidence of kind ``proof`` does not rest on ``numerics``.
    """
    homes = (home, ROOT / "papers" / "verification.py")
    return _hash(homes, ("theory", "papers") if kind == "proof" else ("theory", "numerics", "papers"))


@cache
def sweep_hash(home: Path, whole: bool) -> str:
    """The hash of the source that the numbers of a sweep rest on: the experiment's file, and what it uses of
    ``theory`` and ``numerics``; of ``papers`` only if `whole` experiments are run.
    """
    return _hash((home, ROOT / "numerics" / "runs.py"), ("theory", "numerics", *(("papers",) if whole else ())))


def _hash(homes: tuple[Path, ...], followed: tuple[str, ...]) -> str:
    """The hash of these files and of all that they import, directly or not, from those folders and from outside."""
    pending, files = list(homes), set[Path]()
    while pending:
        file = pending.pop()
        inside = file.is_relative_to(ROOT) and file.relative_to(ROOT).parts[0]
        if file not in files and (file in homes or not inside or inside in followed):
            files.add(file)
            pending.extend(_imports(file))
    digest = hashlib.sha256()
    for file in sorted(files):
        name = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file.name
        digest.update(str(name).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@cache
def engines(kind: str) -> dict[str, str]:
    """Versions of Python and of the libraries that evidence of this kind rests on; none is imported."""
    found = {"python": platform.python_version()}
    for name in ENGINES[kind]:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found
