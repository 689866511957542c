"""Formulas in LaTeX as Typst mathematics and as MathML, by tylax and math-core, and documents as PDF, by typst.

These packages are in the extra ``[write]``; nothing else needs them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

EXTRA = "pip install 'tightframe[{}]'"


class MissingExtra(ValueError):
    """A package of the extra is not installed; one line that names it."""


def required(module: str, package: str, purpose: str, extra: str = "write") -> Any:
    """A module of an extra.

    Raises:
        MissingExtra: if it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError:
        install = EXTRA.format(extra)
        raise MissingExtra(f"{purpose} needs the package {package}, which is not installed: {install}") from None


def typst(latex: str) -> str:
    """A formula in Typst's mathematics, without its dollar signs.

    Examples:
        >>> typst(r"\\frac{1}{N} W^{\\top} H")
        'frac(1, N) W^(top) H'
    """
    tylax = required("tylax", "tylax", "Typst")
    options = tylax.L2TOptions(frac_to_slash=False)  # in 1/n(x) Typst would put all of n(x) below the line
    found = tylax.latex_to_typst_diagnostics(f"${_plain(latex)}$", options=options)
    if found.warnings:
        raise ValueError(f"cannot write {latex} in Typst: {found.warnings[0].message}")
    text = _without_braces(found.output.strip().removeprefix("$").removesuffix("$"))
    text = re.sub(r"#text\[([^\]]*)\]", r'" \1 "', text)
    text = re.sub(r"upright\(([A-Za-z]|[A-Za-z0-9](?: [A-Za-z0-9]| slash)+)\)", _upright, text)
    return " ".join(text.replace(" '", "'").replace("overline(", "macron(").split())  # the accent of \\bar


def _plain(latex: str) -> str:
    """The formula without what tylax drops: parentheses of fixed size, and norms whose bars are not paired."""
    text = re.sub(r"\\[Bb]igg?[lr]?(?![A-Za-z])\s*", "", latex)
    return re.sub(r"(?<!\\left)\\lVert", r"\\left\\lVert", re.sub(r"(?<!\\right)\\rVert", r"\\right\\rVert", text))


def _without_braces(text: str) -> str:
    """``norm({x})``, which shows the braces, as ``norm(x)``."""
    while (start := text.find("norm({")) >= 0:
        depth, stop = 0, start + 5
        for stop in range(start + 5, len(text)):
            depth += {"{": 1, "}": -1}.get(text[stop], 0)
            if depth == 0:
                break
        text = f"{text[: start + 5]}{text[start + 6 : stop]}{text[stop + 1 :]}"
    return text


def _upright(found: re.Match[str]) -> str:
    """A word in one piece."""
    return '"' + found[1].replace(" slash ", "/").replace(" slash", "/").replace(" ", "") + '"'


def typst_rows(rows: Sequence[str]) -> str:
    """The rows of an aligned formula in Typst's mathematics.

    Examples:
        >>> print(typst_rows((r"a &= \\Bigl(b", r"&\\quad + c\\Bigr)")))
        a &= \\(b \\
          &quad + c\\)
    """
    shown = (" &".join(_lone(typst(cell)) if cell.strip() else "" for cell in row.split("&")).strip() for row in rows)
    return " \\\n  ".join(shown)


def _lone(text: str) -> str:
    """Parentheses whose partner stands in another row as characters."""
    opened: list[int] = []
    lone: list[int] = []
    for at, char in enumerate(text):
        if char in "([{":
            opened.append(at)
        elif char in ")]}":
            if opened and text[opened[-1]] + char in ("()", "[]", "{}"):
                opened.pop()
            else:
                lone.append(at)
    for at in sorted((*opened, *lone), reverse=True):
        text = f"{text[:at]}\\{text[at:]}"
    return text


@cache
def _mathml() -> Any:
    return required("math_core", "math-core", "HTML").LatexToMathML(fancy_error=False)


def mathml(latex: str, display: bool = False) -> str:
    """A formula as a ``math`` element.

    Examples:
        >>> mathml("C + 1")
        '<math><mi>C</mi><mo>+</mo><mn>1</mn></math>'
    """
    converter = _mathml()
    try:
        return str(converter.convert_with_local_state(latex, displaystyle=display))
    except required("math_core", "math-core", "HTML").LatexError as error:
        raise ValueError(f"cannot write {latex} as MathML: {' '.join(str(error).split())}") from None


def pdf(source: str) -> bytes:
    """The PDF of a Typst document, which is compiled in this process; the same text gives the same bytes."""
    compiler = required("typst", "typst", "PDF")
    return bytes(compiler.compile(source.encode(), format="pdf", ignore_system_fonts=True, timestamp=0))
