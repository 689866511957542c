"""Sphinx: ``make docs``. The pages of claims, commands and modules are made by :mod:`tightframe.papers.manual`."""

from importlib.metadata import version as installed
from typing import Any

from tightframe.papers import manual

project, author = "tightframe", "The tightframe developers"
release = version = installed("tightframe")
copyright = f"{author}. MIT licence"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"
html_theme = "furo"
html_title = f"tightframe {version}"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_inherit_docstrings = False
add_module_names = False
highlight_language = "text"


def setup(app: Any) -> None:
    """The generated parts take the place of their marks when a page is read; docstrings are read as they are meant."""
    manual.set_formulas(app)
    app.connect("source-read", lambda app, name, source: source.__setitem__(0, manual.completed(source[0])))
    app.connect("autodoc-process-docstring", lambda app, what, name, obj, options, lines: manual.plain(lines))
