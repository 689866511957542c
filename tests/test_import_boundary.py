"""Who may import whom, and what no file may do: read off the source, so lazy imports count too."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from importlib.util import resolve_name
from pathlib import Path

import pytest

# theory and numerics are two oracles: their agreement is evidence only while neither knows the other.
FORBIDDEN = {
    "theory": ("tightframe.numerics", "tightframe.papers", "torch"),
    "numerics": ("tightframe.theory", "tightframe.papers"),
    "papers": (),
}
CHECKER = "tightframe.theory.proof.checker"
UNSAFE_MODULES = ("pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "sympy.parsing")
UNSAFE_CALLS = ("eval", "exec", "compile", "__import__")
SYMPIFYING_CALLS = ("simplify", "nsimplify", "expand", "solve", "diff", "integrate")


def folder_of(package: str) -> Path:
    with resources.as_file(resources.files(f"tightframe.{package}")) as folder:
        return folder


def sources() -> Iterator[tuple[str, Path]]:
    """Every module of the three packages: (its full name, its file)."""
    for package in FORBIDDEN:
        folder = folder_of(package)
        for path in sorted(folder.rglob("*.py")):
            parts = ["tightframe", package, *path.relative_to(folder).with_suffix("").parts]
            yield ".".join(parts), path


MODULES = dict(sources())


def text_argument(call: ast.Call) -> str | None:
    first = call.args[0] if call.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def owner_of(node: ast.expr) -> str:
    """The name before the last dot: `torch` for `torch.load`."""
    return getattr(getattr(node, "value", None), "id", "")


def called(call: ast.Call) -> str:
    """The last name of what is called: `import_module` for `importlib.import_module(...)`."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def imported_at_run_time(call: ast.Call, module: str) -> str:
    """The module that `import_module(name, package)` imports; '?' stands for what is computed."""
    name = call.args[0] if call.args else None
    text = text_argument(call)
    if isinstance(name, ast.JoinedStr) and isinstance(name.values[0], ast.Constant):  # f".{name}": inside the package
        text = f"{name.values[0].value}?"
    if not text or not text.startswith("."):
        return "?" if not text or "?" in text else text
    own = {"__name__": module.removesuffix(".__init__"), "__package__": package_of(module)}
    package = own.get(getattr(call.args[1], "id", "")) if len(call.args) > 1 else None
    return resolve_name(text, package) if package else "?"


def package_of(module: str) -> str:
    return module.rpartition(".")[0]


def imports(source: str, module: str) -> set[str]:
    """Full names of all that a module imports, at any depth, `importlib` included ('?' if computed)."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = resolve_name("." * node.level + base, package_of(module))
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call) and called(node) in ("import_module", "__import__", "run_module"):
            names.add(imported_at_run_time(node, module))
    return names


def within(name: str, module: str) -> bool:
    return name == module or name.startswith(module + ".")


def boundary_violations(source: str, module: str) -> set[str]:
    """Imports that the module's package may not make; a computed import of theory or numerics is one."""
    forbidden = FORBIDDEN[module.split(".")[1]]
    if not forbidden:
        return set()
    # `import numerics` works too, where the current folder is on the path.
    banned = [*forbidden, *(name.removeprefix("tightframe.") for name in forbidden), "?"]
    return {name for name in imports(source, module) if any(within(name, each) for each in banned)}


def outside_standard_library(source: str, module: str) -> set[str]:
    return {name for name in imports(source, module) if name.split(".")[0] not in sys.stdlib_module_names}


def is_true(call: ast.Call, keyword: str) -> bool:
    values = [each.value for each in call.keywords if each.arg == keyword]
    return any(isinstance(value, ast.Constant) and value.value is True for value in values)


def unsafe(source: str) -> set[str]:
    """What runs text or bytes as code: eval and its kin, pickle, sympy's parsers (sympify evaluates strings)."""
    imported = imports(source, "tightframe.any.inner.module")
    found = {name for name in imported for bad in UNSAFE_MODULES if within(name, bad)}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name | ast.Attribute):
            name = node.id if isinstance(node, ast.Name) else node.attr
            if name in ("parse_expr", "parse_latex", "parse_mathematica"):
                found.add(name)
        if isinstance(node, ast.Name) and node.id in UNSAFE_CALLS:
            found.add(node.id)
        if isinstance(node, ast.Attribute) and node.attr in UNSAFE_CALLS and owner_of(node) == "builtins":
            found.add(node.attr)
        if not isinstance(node, ast.Call):
            continue
        name, owner = called(node), owner_of(node.func)
        if name in ("sympify", "S") and not is_true(node, "strict"):
            found.add("sympify")
        if name in SYMPIFYING_CALLS and text_argument(node) is not None:
            found.add(f"{name} of a string")
        if name == "load" and owner == "torch" and not is_true(node, "weights_only"):
            found.add("torch.load")
        if is_true(node, "allow_pickle"):
            found.add("allow_pickle")
    return found


def test_the_scan_sees_every_package() -> None:
    """A scan of nothing passes every rule."""
    assert {name.split(".")[1] for name in MODULES} == set(FORBIDDEN)
    assert CHECKER in MODULES


@pytest.mark.parametrize("module", MODULES)
def test_imports_stay_inside_the_boundary(module: str) -> None:
    assert boundary_violations(MODULES[module].read_text(), module) == set()


@pytest.mark.parametrize("module", MODULES)
def test_nothing_runs_text_as_code(module: str) -> None:
    assert unsafe(MODULES[module].read_text()) == set()


def test_the_checker_imports_the_standard_library_only() -> None:
    assert outside_standard_library(MODULES[CHECKER].read_text(), CHECKER) == set()


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("tightframe.theory.frames", "import torch"),
        ("tightframe.theory.frames", "def f():\n    import torch.linalg as la"),
        ("tightframe.theory.frames", "from ..numerics import frames"),
        ("tightframe.theory.frames", "from .. import numerics"),
        ("tightframe.theory.frames", "from tightframe import papers"),
        ("tightframe.theory.frames", "import numerics.frames"),
        ("tightframe.theory.frames", "import importlib\nimportlib.import_module('tightframe.numerics')"),
        ("tightframe.theory.frames", "from importlib import import_module\nimport_module('tight' + 'frame.numerics')"),
        ("tightframe.theory.frames", "import importlib\nimportlib.import_module('..numerics', __package__)"),
        ("tightframe.theory.frames", "import importlib\nimportlib.import_module(f'tightframe.{name}')"),
        ("tightframe.theory.__init__", "from ..numerics.frames import simplex_etf"),
        ("tightframe.theory.proof.star", "from ...numerics import frames"),
        ("tightframe.theory.proof.star", "if True:\n    from ...papers.claim import Claim"),
        ("tightframe.numerics.frames", "from ..theory import frames"),
        ("tightframe.numerics.frames", "from tightframe.papers import claim"),
        ("tightframe.numerics.frames", "__import__('tightframe.theory')"),
    ],
)
def test_a_planted_import_is_caught(module: str, source: str) -> None:
    assert boundary_violations(source, module)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("tightframe.theory.frames", "import sympy\nfrom . import symbols\nfrom .proof import star"),
        ("tightframe.theory.proof.star", "from .. import symbols\nfrom . import checker"),
        ("tightframe.theory.__init__", "from .frames import simplex_etf"),
        ("tightframe.theory.__init__", "import importlib\nimportlib.import_module(f'.{name}', __name__)"),
        ("tightframe.numerics.frames", "import torch\nfrom .shapes import generator"),
        ("tightframe.papers.han2022", "from ..theory import frames\nfrom ..numerics import models"),
    ],
)
def test_an_allowed_import_is_not(module: str, source: str) -> None:
    assert not boundary_violations(source, module)


@pytest.mark.parametrize(
    "source", ["import sympy", "def f():\n    from numpy import linalg", "from . import star", "import_module(name)"]
)
def test_a_planted_import_of_the_checker_is_caught(source: str) -> None:
    assert outside_standard_library(source, CHECKER)


@pytest.mark.parametrize(
    "source",
    [
        "eval('1')",
        "run = exec",
        "import builtins\nbuiltins.eval('1')",
        "import pickle",
        "from pickle import loads",
        "import importlib\nimportlib.import_module('pickle')",
        "import sympy\nsympy.sympify(text)",
        "from sympy import S\nS('x + 1')",
        "from sympy.parsing.latex import parse_latex",
        "import sympy\nsympy.parse_expr(text)",
        "import sympy\nsympy.simplify('x + 1')",
        "import torch\ntorch.load(path)",
        "import numpy\nnumpy.load(path, allow_pickle=True)",
    ],
)
def test_planted_code_from_text_is_caught(source: str) -> None:
    assert unsafe(source)


@pytest.mark.parametrize(
    "source",
    [
        "import re\nre.compile('x')",
        "model.eval()",
        "from sympy import S\nS.Zero",
        "import sympy\nsympy.sympify(value, strict=True)",
        "import torch\ntorch.load(path, weights_only=True)",
        "'eval(pickle)'",
    ],
)
def test_what_only_looks_like_it_is_not(source: str) -> None:
    assert not unsafe(source)


def imported_by(*arguments: str) -> set[str]:
    """Run the command in a fresh interpreter: the top-level modules that it imported."""
    script = """
import sys
from tightframe.papers.cli import main
out, sys.stdout = sys.stdout, sys.stderr
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
print(*{name.split(".")[0] for name in sys.modules}, file=out)
"""
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], {"sympy", "torch", "z3", "flint", "matplotlib", "numpy", "scipy", "hypothesis"}),
        (["--version"], {"sympy", "torch", "z3", "flint", "matplotlib", "numpy", "scipy", "hypothesis"}),
        (["list"], {"torch", "z3", "matplotlib"}),
    ],
)
def test_a_command_starts_without_what_it_does_not_use(arguments: list[str], heavy: set[str]) -> None:
    loaded = imported_by(*arguments)
    assert "tightframe" in loaded
    assert loaded & heavy == set()
