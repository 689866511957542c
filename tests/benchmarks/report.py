"""Row 10: a page of the report with 1,000 equations, and how long a browser takes to show it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from run import Comparison, Contender, duration
from sympy.printing.mathml import mathml
from tightframe.papers import registry
from tightframe.papers.writing import formats, site
from tightframe.papers.writing.folders import replace_folder
from tightframe.papers.writing.layout import broken
from tightframe.theory.proof.statement import Statement

ROWS = (10,)  # of the comparisons
COUNT = 1000


def statements() -> Iterator[Statement]:
    """Statements and hypotheses of all claims."""
    for claim in registry.claims().values():
        yield claim.statement
        yield from (hypothesis.statement for hypothesis in claim.setting.hypotheses)


def expressions() -> list[Any]:
    """The scalars and matrices in them."""
    return [expression for statement in statements() for expression in statement.expressions()]


def equations() -> tuple[formats.Display, ...]:
    """Statements and hypotheses in rows, over and over."""
    rows = cycle([broken(statement.latex()) for statement in statements()])
    return tuple(formats.Display(each, str(number)) for number, each in enumerate(islice(rows, COUNT), 1))


def page(equations: tuple[formats.Display, ...]) -> site.Site:
    """A report of one claim that has so many hypotheses."""
    told = site.tell(registry.find("han2022/closed-form"))
    return site.Site({"han2022/closed-form": replace(told, sections=replace(told.sections, premises=equations))})


def shown(files: dict[str, bytes]) -> str:
    """How long the page takes in Debian's chromium: the whole, and what its main thread computes."""
    chromium = shutil.which("chromium")
    if chromium is None:
        return "No chromium: not shown."
    from playwright.sync_api import sync_playwright

    path = "claim/han2022/closed-form.html"
    with TemporaryDirectory() as scratch, sync_playwright() as playwright:
        folder = Path(scratch) / "report"
        replace_folder(folder, files, site.KIND)
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        page = browser.new_page()
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        began = time.perf_counter()
        page.goto((folder / path).as_uri())
        page.evaluate("document.documentElement.scrollHeight")  # which lays it out
        spent = time.perf_counter() - began
        found = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
        browser.close()
    size = f"{len(files[path]) / 1e6:.2g} MB"
    return f"Chromium shows it ({size}) in {duration(spent)}, of which it computes {duration(found['TaskDuration'])}."


def comparisons() -> Iterator[Comparison]:
    """The baseline is sympy's own printer of MathML, of as many formulas, without a page around them."""
    made = page(equations())
    formulas = list(islice(cycle(expressions()), COUNT))
    yield Comparison(
        10,
        f"{COUNT} equations on a page of the report",
        "none",
        "less than 2 s to write, and less than 2 s to show",
        (
            Contender("sympy's MathML printer", lambda: [mathml(each, printer="presentation") for each in formulas]),
            Contender("the report: templates and math-core, all pages", lambda: made.files()),
        ),
        lambda: shown(made.files()),
    )
