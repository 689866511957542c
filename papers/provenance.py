"""What a piece of evidence rests on: the source of every module in use, and the versions of the engines."""

from __future__ import annotations

import ast
import hashlib
import platform
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
    """Modules of the three packages that a file imports, at any depth of its code."""
    found: list[Path] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = file.parents[node.level - 1].joinpath(*(node.module or "").split(".") if node.module else ())
        for target in (base, *(base / alias.name for alias in node.names)):
            found += [path for path in (target.with_suffix(".py"), target / "__init__.py") if path.is_file()]
    return tuple(found)


@cache
def source_hash(module: str, kind: str) -> str:
    """The hash of the source of ``papers/<module>`` and of everything it imports from the packages.

    Evidence of kind ``proof`` does not rest on ``numerics``.
    """
    papers = ROOT / "papers"
    home = papers / module / "__init__.py"
    homes = (home if home.is_file() else papers / f"{module}.py", papers / "verification.py")
    return _hash(homes, ("theory", "papers") if kind == "proof" else ("theory", "numerics", "papers"))


@cache
def sweep_hash(module: str, whole: bool) -> str:
    """The hash of the source that the numbers of a sweep rest on: the experiment's module, and what it uses of
    ``theory`` and ``numerics``; of ``papers`` only if `whole` experiments are run.
    """
    homes = ROOT / "papers" / f"{'/'.join(module.split('.'))}.py", ROOT / "numerics" / "runs.py"
    return _hash(homes, ("theory", "numerics", *(("papers",) if whole else ())))


def _hash(homes: tuple[Path, ...], followed: tuple[str, ...]) -> str:
    """The hash of these files and of all that they import, directly or not, from those folders."""
    pending, files = list(homes), set[Path]()
    while pending:
        file = pending.pop()
        if file not in files and (file in homes or file.relative_to(ROOT).parts[0] in followed):
            files.add(file)
            pending.extend(_imports(file))
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
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
