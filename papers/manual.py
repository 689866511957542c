"""The parts of the documentation that are made when it is built: claims, commands, modules.

A page in ``papers/docs`` says where one of them stands, by ``<!-- generated: NAME -->`` on a line of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

_MARK = re.compile(r"^<!-- generated: ([a-z ]+) -->$", re.MULTILINE)


def completed(text: str) -> str:
    """A page with the generated parts in the places of their marks.

    Raises:
        ValueError: for a mark that names no part.

    Examples:
        >>> completed("# A page")
        '# A page'
        >>> completed("<!-- generated: poems -->")
        Traceback (most recent call last):
            ...
        ValueError: no part of the documentation is called 'poems'; known: claims, commands, theory, numerics, papers
    """
    return _MARK.sub(lambda found: _part(found.group(1)), text)


def _part(name: str) -> str:
    if name not in _PARTS:
        raise ValueError(f"no part of the documentation is called {name!r}; known: {', '.join(_PARTS)}")
    return _PARTS[name]()


def claims(*keys: str) -> str:
    """A section for each claim, labelled ``tf:ID``: what `tightframe cite` writes of it in Markdown.

    Of the papers with these keys, or of all papers of the package.

    Examples:
        >>> "(tf:liu2024/geometry)=" in claims("liu2024")
        True
    """
    from . import registry

    return "\n\n".join(part for key in keys or registry.shipped_keys() for part in _paper(registry.paper(key)))


def _paper(paper: Any) -> Iterator[str]:
    from .verification import standing
    from .writing.citation import Citation, markdown

    yield f"## {paper.key}"
    for claim in paper.claims:
        yield f"(tf:{claim.id})=\n### `{claim.id}`\n\n{markdown(Citation(claim, standing(claim)))}"


def commands() -> str:
    """A section for each command, with its help.

    Examples:
        >>> "## tightframe verify" in commands()
        True
    """
    import typer

    from .cli import app

    group: Any = typer.main.get_command(app)
    sections: list[str] = []
    with group.make_context("tightframe", [], resilient_parsing=True, terminal_width=100) as context:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            inner = command.make_context(name, [], parent=context, resilient_parsing=True)
            sections.append(f"## tightframe {name}\n\n```text\n{command.get_help(inner)}\n```")
    return "\n\n".join(sections)


def modules(package: str) -> str:
    """A section for each public module of a package, from its docstrings.

    Examples:
        >>> print(modules("numerics").split("## ")[1])
        tightframe.numerics.columns
        <BLANKLINE>
        ```{eval-rst}
        .. automodule:: tightframe.numerics.columns
           :members:
        ```
        <BLANKLINE>
        <BLANKLINE>
    """
    from importlib import import_module

    if package == "papers":
        names = sorted(
            {*import_module("tightframe.papers")._HOME.values(), "draft", "pytest_plugin", "writing.notation"}
        )
    else:
        names = list(import_module(f"tightframe.{package}").__all__)
    if package == "theory":
        names[names.index("proof")] = "proof.statement"
        names.insert(names.index("proof.statement"), "proof.rules")
    shown = [f"tightframe.{package}.{name}" for name in names]
    return "\n\n".join(f"## {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n```" for name in shown)


_PARTS = {
    "claims": claims,
    "commands": commands,
    **{name: partial(modules, name) for name in ("theory", "numerics", "papers")},
}


def set_formulas(app: Any) -> None:
    """Have Sphinx set formulas as MathML, which needs neither scripts nor a network."""

    def visit(translator: Any, node: Any) -> None:
        from docutils.nodes import SkipNode

        from .writing.conversion import mathml

        translator.body.append(mathml(node.astext(), display=node.tagname == "math_block"))
        raise SkipNode

    app.add_html_math_renderer("mathml", (visit, None), (visit, None))


def plain(lines: list[str]) -> None:
    """Escape, in place, what reStructuredText would take for markup in the lines of a docstring: bars and stars.

    Literals in double backquotes and the lines of examples stay as they are.

    Examples:
        >>> lines = ["|x|^2 and ``|x|``", ">>> a * b", "**bold**"]
        >>> plain(lines)
        >>> lines
        ['\\\\|x\\\\|^2 and ``|x|``', '>>> a * b', '\\\\*\\\\*bold\\\\*\\\\*']
    """
    for index, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            pieces = re.split(r"(``.*?``)", line)
            pieces[::2] = [re.sub(r"([|*])", r"\\\1", piece) for piece in pieces[::2]]
            lines[index] = "".join(pieces)
