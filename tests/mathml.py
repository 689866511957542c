"""MathML as nested lists of what stands in it: two converters are compared without regard to how they group."""

from __future__ import annotations

import re
import unicodedata
from xml.etree import ElementTree

_SCRIPTS = {"msub": "_", "msup": "^", "munder": "_", "mover": "^", "msubsup": "_^", "munderover": "_^"}
_SIGNS = {
    "−": "-",
    "‖": "∥",
    "|": "∣",
    "⟹": "⇒",
    "˙": ".",
    "~": "~",
    "˜": "~",
    "‾": "¯",
    "ˆ": "^",
    "\u0302": "^",
    "⋅": "·",
    "ϵ": "ε",
}
_SIGNS |= {"\u0302": "^", "\u2061": "", "\u2062": "", "\ufe00": "", "\u200b": "", "′": "'"}
Skeleton = list["str | Skeleton"]


def elements(html: str) -> list[ElementTree.Element]:
    """The ``math`` elements of an HTML text."""
    found = re.findall(r"<math\b.*?</math>", html.replace("&ApplyFunction;", ""), re.DOTALL)
    return [ElementTree.fromstring(text) for text in found]


def skeleton(element: ElementTree.Element) -> Skeleton:
    """Letters in order; fractions, roots, indices and exponents as lists that say so."""
    name = element.tag.rpartition("}")[2]
    children = list(element)
    if name in ("mi", "mn", "mo", "mtext", "ms"):
        text = unicodedata.normalize("NFKC", element.text or "")
        return [_SIGNS.get(char, char) for char in text if not char.isspace() and _SIGNS.get(char, char)]
    if name == "mspace":
        return []
    if name in ("mfrac", "mroot", "msqrt"):
        return [[name, *(skeleton(child) for child in children)]]
    if name in _SCRIPTS:
        base, *scripts = map(skeleton, children)
        marks = [[mark, script] for mark, script in zip(_SCRIPTS[name], scripts, strict=True) if script]
        return [*base, *marks]
    return [part for child in children for part in skeleton(child)]
