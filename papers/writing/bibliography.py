"""BibTeX entries of papers, and the bibliography of a manuscript to which they are appended."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..claim import Paper
from ..store import write_atomically

SOFTWARE = "tightframe"  # the key of our own claims: citing one cites this software


@dataclass(frozen=True)
class Entry:
    """A BibTeX entry: ``article``, key, fields in their order, with white space as single spaces."""

    kind: str
    key: str
    fields: dict[str, str]

    def text(self) -> str:
        widest = max(map(len, self.fields), default=0)
        body = ",\n".join(f"  {name:<{widest}} = {{{value}}}" for name, value in self.fields.items())
        return f"@{self.kind}{{{self.key},\n{body}\n}}\n"


def _library(text: str, middleware: Iterable[Any] = ()) -> Any:
    import bibtexparser

    logging.getLogger("bibtexparser").addHandler(logging.NullHandler())
    logging.getLogger("bibtexparser").propagate = False  # what fails is reported here, in one line
    return bibtexparser.parse_string(text, append_middleware=list(middleware))


def entry(bibtex: str) -> Entry:
    """Read one BibTeX entry.

    Raises:
        ValueError: for anything else.

    Examples:
        >>> entry("@misc{key, title = {On {MSE} loss}, year = {2022}}").fields
        {'title': 'On {MSE} loss', 'year': '2022'}
    """
    library = _library(bibtex)
    if library.failed_blocks or len(library.entries) != 1:
        raise ValueError("expected one BibTeX entry")
    (found,) = library.entries
    if not found.key:
        raise ValueError("a BibTeX entry needs a key")
    fields = {field.key.lower(): " ".join(str(field.value).split()) for field in found.fields}
    return Entry(found.entry_type, found.key, fields)


def entries(text: str) -> dict[str, dict[str, str]]:
    """The fields of every entry of a bibliography that can be read, by key.

    Examples:
        >>> entries("@misc{a, eprint = {1905.00001v2}} @misc{b, year = 1999}")
        {'a': {'eprint': '1905.00001v2'}, 'b': {'year': '1999'}}
    """
    return {
        found.key: {field.key.lower(): " ".join(str(field.value).split()) for field in found.fields}
        for found in _library(text).entries
    }


def bibtex(paper: Paper) -> str:
    """The entry of a paper; that of this software with its version."""
    if paper.key != SOFTWARE:
        return paper.bibtex
    own = entry(paper.bibtex)
    return Entry(own.kind, own.key, own.fields | {"note": f"Version {version(SOFTWARE)}"}).text()


def authors(paper: Paper) -> tuple[str, ...]:
    """Given names first.

    Examples:
        >>> from tightframe.papers import registry
        >>> authors(registry.paper("han2022"))
        ('X. Y. Han', 'Vardan Papyan', 'David L. Donoho')
    """
    from bibtexparser.middlewares import SeparateCoAuthors, SplitNameParts

    (found,) = _library(paper.bibtex, (SeparateCoAuthors(), SplitNameParts())).entries
    if "author" not in found.fields_dict:
        return ()
    people = (" ".join((*name.first, *name.von, *name.last, *name.jr)) for name in found["author"])
    return tuple(_bare(name) for name in people)


def _bare(text: str) -> str:
    return text.replace("{", "").replace("}", "")


def reference(paper: Paper) -> str:
    """The entry as a line of plain text.

    Examples:
        >>> from tightframe.papers import registry
        >>> print(reference(registry.paper("han2022")))
        X. Y. Han, Vardan Papyan and David L. Donoho. Neural Collapse Under MSE Loss: Proximity to and Dynamics on the \
Central Path. International Conference on Learning Representations, 2022. arXiv:2106.02073v4.
    """
    fields = {name: _bare(value).replace("--", "–") for name, value in entry(bibtex(paper)).fields.items()}
    *others, last = authors(paper)
    people = f"{', '.join(others)} and {last}" if others else last
    venue = fields.get("booktitle") or fields.get("journal") or fields.get("publisher") or ""
    pages = f"pages {fields['pages']}" if "pages" in fields else ""
    when = ", ".join(part for part in (venue, pages, fields.get("year", "")) if part)
    eprint = f"arXiv:{fields['eprint']}" if "eprint" in fields else ""
    parts = (people, fields.get("title", paper.title), when, eprint, fields.get("note", ""))
    return " ".join(f"{part}." for part in parts if part)


def append(path: Path, papers: Iterable[Paper]) -> tuple[str, ...]:
    """Append the entries whose keys a bibliography lacks; the keys that are new. What it has stays byte by byte.

    Raises:
        ValueError: if the bibliography cannot be read as BibTeX; it is left as it is.
        OSError: if it cannot be read or written.
    """
    target = path.resolve()  # a link stays a link
    old = target.read_bytes() if target.exists() else b""
    known = keys(old, path)
    new = [paper for paper in papers if paper.key.casefold() not in known]
    if not new:
        return ()
    newline = "\r\n" if b"\r\n" in old else "\n"
    gap = newline * (2 - old.endswith(b"\n")) if old.strip() else ""
    text = "\n".join(bibtex(paper) for paper in new).replace("\n", newline)
    mode = os.stat(target).st_mode & 0o777 if target.exists() else None
    write_atomically(target, old + (gap + text).encode())
    if mode is not None:
        os.chmod(target, mode)
    return tuple(paper.key for paper in new)


def keys(data: bytes, path: Path) -> set[str]:
    """The keys of a bibliography, without regard to case, as BibTeX compares them."""
    from bibtexparser.model import DuplicateBlockKeyBlock, DuplicateFieldKeyBlock
    from bibtexparser.model import Entry as Parsed

    library = _library(data.decode("utf-8", "surrogateescape"))
    found = {parsed.key for parsed in library.entries}
    for block in library.failed_blocks:
        inner = block.ignore_error_block if isinstance(block, DuplicateBlockKeyBlock | DuplicateFieldKeyBlock) else None
        if not isinstance(inner, Parsed):
            raise ValueError(f"cannot read {path} as BibTeX (line {block.start_line + 1}); it is left as it is")
        found.add(inner.key)
    return {key.casefold() for key in found}
