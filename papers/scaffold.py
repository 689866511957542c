"""A claims file to begin with."""

from __future__ import annotations

from datetime import date
from importlib import resources
from pathlib import Path

from . import claims_files
from .store import write_atomically

SLUGS = ("push-through", "collapse", "implicit-bias")


def text(file: Path, key: str, title: str, authors: str) -> str:
    """A claims file with an identity, a threshold and a simulated claim.

    Examples:
        >>> "PAPER = Draft('me2027', 'Ridge', authors='A. Author'" in text(Path("a.py"), "me2027", "Ridge", "A. Author")
        True
    """
    template = resources.files("tightframe.papers").joinpath("templates", "claims.txt").read_text(encoding="utf-8")
    words = {
        "@YEAR@": str(date.today().year),
        "@KEY@": key,
        "@FILE@": file.name,
        "@KEYTEXT@": repr(key),
        "@TITLE@": repr(title),
        "@AUTHORS@": repr(authors),
    }
    for mark, word in words.items():
        template = template.replace(mark, word)
    return template


def write(file: Path, key: str, title: str = "Title of the paper", authors: str = "Anonymous") -> Path:
    """Write a claims file that works; what there is already is left as it is.

    Raises:
        ValueError: for a key that no paper can have or that one of the package has, or a name that ends otherwise.
        FileExistsError: if there is such a file.
    """
    from . import registry
    from .stating import valid_key

    if file.suffix != ".py" or not file.stem:
        raise ValueError(f"a claims file is a Python file, such as mypaper.py, not {file}")
    if not valid_key(key):
        raise ValueError(f"{key!r} is no key: letters, digits and _, a letter first, such as me2027")
    if key in registry.shipped_keys():
        raise ValueError(f"the key {key!r} is that of a paper of tightframe's; choose another")
    if file.exists():
        raise FileExistsError(f"there is a file {claims_files.shown(file)} already; it is left as it is")
    write_atomically(file, text(file, key, title, authors))
    return file
