"""The report: every claim has a page, every link is alive, nothing is said that `show` does not say."""

from __future__ import annotations

import json
import os
import posixpath
import random
import re
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import html5lib
import pytest
from browser import browser, needs_chromium
from filelock import FileLock
from html5lib.html5parser import ParseError
from tightframe import papers
from tightframe.papers import cli, experiments, registry
from tightframe.papers.evidence import Verdict
from tightframe.papers.experiments import Experiment
from tightframe.papers.writing import (
    documents,
    figures,
    folders,
    graph,
    site,
)
from tightframe.papers.writing.graph import Arrow
from tightframe.papers.writing.site import Site, Told, tell

REFUTED = "garrod2025/solution-dimension"
# With their derivations; of other claims these tests leave them out, as building all of them takes long.
WHOLE = ("han2022/closed-form", "han2022/growth", "dang2023/scalar-minimiser", "garrod2025/rho-identity")


def build(folder: Path) -> None:
    """A report of all claims."""
    complete = documents.sections
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "tightframe.papers.writing.documents.sections",
            lambda claim, where: complete(claim if claim.id in WHOLE else replace(claim, derive=None), where),
        )
        site.report(folder)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The folder of a report, made once for all processes of a run."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared if worker_id == "master" else shared.parent
    folder = shared / "report"
    with FileLock(shared / "report.lock"):
        if not folder.exists():
            build(folder)
    return folder


@pytest.fixture(scope="session")
def pages(built: Path) -> dict[str, Page]:
    paths = sorted(built.rglob("*.html"))
    return {path.relative_to(built).as_posix(): Page(path.read_text(encoding="utf-8")) for path in paths}


EMPTY = {"meta", "link", "img", "br", "hr"}


class Page(HTMLParser):
    """The elements of a page, whether they are closed in order, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.words = text, ""
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data

    def said(self) -> str:
        return " ".join(self.words.split())

    def links(self) -> Iterator[str]:
        for _, attributes in self.elements:
            yield from (attributes[name] or "" for name in ("href", "src") if name in attributes)

    def ids(self) -> list[str]:
        return [attributes["id"] or "" for _, attributes in self.elements if "id" in attributes]


def dead(folder: Path, pages: Mapping[str, Page]) -> list[str]:
    """Links that lead out of the folder, to no file in it, or to no place in a page of it."""
    found: list[str] = []
    for path, page in pages.items():
        for link in page.links():
            if link == "data:,":
                continue
            parts = urlsplit(link)
            target = (
                posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(parts.path))) if parts.path else path
            )
            outside = bool(parts.scheme or parts.netloc) or target.startswith(("..", "/"))
            missing = outside or not (folder / target).is_file()
            if missing or (parts.fragment and unquote(parts.fragment) not in pages[target].ids()):
                found.append(f"{path}: {link}")
    return found


# ------------------------------------------------------------------------------------------------ all pages


def test_every_claim_and_every_paper_has_a_page(pages: dict[str, Page], built: Path) -> None:
    expected = {f"claim/{name}.html" for name in registry.claims()} | {f"paper/{key}.html" for key in registry.papers()}
    assert set(pages) == expected | {"index.html", "graph.html", "errata.html"}
    assert {path.suffix for path in built.rglob("*") if path.is_file()} == {".html", ".css", ".js", ".json"}
    for name, claim in registry.claims().items():
        said = pages[f"claim/{name}.html"].said()
        assert claim.hash in said
        assert all(part in said for part in ("Statement", "Source", "Derivation", "Evidence", "Mutants", "Cite"))
        assert claim.version is None or f"arXiv:{claim.version}" in said
        assert f"claim/{name}.html" in pages["index.html"].links()


def test_every_link_is_alive_without_a_network(pages: dict[str, Page], built: Path, tmp_path: Path) -> None:
    assert dead(built, pages) == []
    texts = '<a href="https://example.org">', '<a href="//x">', '<a href="../no.html">', '<a href="index.html#no">'
    for text in (*texts, '<img src="x.png">', '<a href="../../index.html">'):
        assert dead(built, {**pages, "claim/x.html": Page(text if "img" in text else f"{text}</a>")}), text
    loading = {name for page in pages.values() for name, _ in page.elements} & {"iframe", "object", "embed", "base"}
    assert not loading
    style = (built / "style.css").read_text()
    assert not re.search(r"url\(|@import|https?:", style + (built / "script.js").read_text())


def test_pages_are_well_formed(pages: dict[str, Page]) -> None:
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    names = ("index.html", "graph.html", "errata.html", "paper/dang2023.html", f"claim/{REFUTED}.html")
    for name in (*names, *(f"claim/{whole}.html" for whole in WHOLE)):
        parser.parse(pages[name].text)
    with pytest.raises(ParseError):
        parser.parse(pages[f"claim/{WHOLE[0]}.html"].text.replace("</section>", "", 1))
    for page in pages.values():
        assert len(page.ids()) == len(set(page.ids()))
        assert "merror" not in page.text


def test_headings_are_in_order_and_the_keyboard_reaches_the_content(pages: dict[str, Page]) -> None:
    for page in pages.values():
        levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(later <= level + 1 for level, later in pairwise(levels))
        links = [attributes for tag, attributes in page.elements if tag == "a"]
        assert links[0]["href"] == "#main"
        assert all("alt" in attributes for tag, attributes in page.elements if tag == "img")
        labels = [a["aria-labelledby"] for _, a in page.elements if a.get("aria-labelledby")]
        assert set(labels) <= set(page.ids())


def test_every_claim_is_a_link_in_the_graph_with_its_verdict_in_words(pages: dict[str, Page], built: Path) -> None:
    told = json.loads((built / "report.json").read_text(encoding="utf-8"))["claims"]
    labels = {
        a["href"]: a["aria-label"] or "" for tag, a in pages["graph.html"].elements if tag == "a" and "aria-label" in a
    }
    assert set(told) == set(registry.claims())
    for name in told:
        assert labels[f"claim/{name}.html"].startswith(f"{name}, {told[name]['verdict']}")


def test_verdicts_are_words_beside_colours_and_explained(pages: dict[str, Page]) -> None:
    said = pages["index.html"].said()
    for verdict in Verdict:
        assert f"{site.MARKS[verdict]} {verdict}" in said
        assert site.MEANINGS[verdict] in said


@pytest.mark.checkout
def test_the_readme_explains_verdicts_in_the_same_words(root: Path) -> None:
    text = (root / "README.md").read_text(encoding="utf-8")
    assert all(f"| {verdict} | {meaning} |" in text for verdict, meaning in site.MEANINGS.items())


def test_a_derivation_unfolds_step_by_step(pages: dict[str, Page]) -> None:
    for name in WHOLE:
        derivation = registry.find(name).derivation
        assert derivation is not None
        total = len(derivation.steps)
        page = pages[f"claim/{name}.html"]
        assert f"{total} of {total} steps machine-checked" in page.said()
        assert page.text.count('<details><summary><span class="number">') == total
        assert "not machine-checked" not in page.said()
        assert papers.cite([name]) in page.words
        assert all(papers.cite([name], form) in page.words for form in ("typst", "markdown", "bibtex"))


def test_errata_have_version_witness_and_what_holds_instead(pages: dict[str, Page]) -> None:
    text = pages["errata.html"].text
    for name in ("dang2023/ce-deep-etf", REFUTED):
        part = next(part for part in text.split("<section") if f'href="claim/{name}.html"' in part)
        said = Page(f"<section{part.partition('</section>')[0]}</section>").said()
        claim, better = registry.find(name), registry.corrected_by(registry.find(name))
        assert f"arXiv:{claim.version}" in said
        assert "false in an exact example with" in said
        assert "✓ proved" in said.partition("Corrected")[2]
        assert better is not None
        assert f'href="claim/{better}.html"' in part
    assert text.index(REFUTED) < text.index("Sharpened")


# ------------------------------------------------------------------------------------------------ what may be said


def alone(name: str, **changes: Any) -> Told:
    return tell(replace(registry.find(name), **changes))


def test_a_page_says_no_more_than_show(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "han2022/total-covariance"
    before = Page(dict(Site({name: alone(name)}).pages())[f"claim/{name}.html"])
    assert "✓ proved" in before.said()
    assert "2 of 2 steps machine-checked" in before.said()
    monkeypatch.setattr("tightframe.papers.verification.shipped_certificate", lambda name: None)
    assert papers.show(name)["verdict"] == "open"
    every = {path: Page(text) for path, text in Site({name: alone(name)}).pages()}
    said = every[f"claim/{name}.html"].said()
    assert "○ open recorded: proved" in said
    assert "0 of 2 steps machine-checked: no certificate of these steps is on disk" in said
    assert said.count("not machine-checked") == 2
    assert all(
        "✓ proved" not in page.said() for path, page in every.items() if path not in ("index.html", "graph.html")
    )
    assert "✓ proved 0" in every["index.html"].said()


HOSTILE = '<script>alert(1)</script> "onmouseover="x() \'> </pre></details><img src=x onerror=y()> & {{ 7 * 7 }}'


def test_hostile_text_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    name = "han2022/closed-form"
    told = alone(name, title=HOSTILE, notes=HOSTILE, locator=HOSTILE, beyond=HOSTILE, derive=None)
    piece = {
        "kind": HOSTILE,
        "prover": HOSTILE,
        "outcome": "refuted",
        "coverage": HOSTILE,
        "seconds": 0.0,
        "detail": HOSTILE,
    }
    mutants = {
        "counts": {"open": 1, "survived": 0},
        "not_killed": [{"fate": "open", "change": HOSTILE, "detail": HOSTILE}],
    }
    shown = {**told.shown, "evidence": [piece], "verdict": "refuted", "mutants": mutants, "conditional_on": [HOSTILE]}
    experiment = Experiment(
        "x", HOSTILE, (), lambda values: 1, run_of({}), lambda numbers: [HOSTILE], drawing, claims=(name,)
    )
    drawn = replace(
        figures.Figure(experiment), numbers={"converged": False, "reason": HOSTILE}, lines=(HOSTILE,), files={}
    )
    made = Site({name: replace(told, shown=shown)}, [drawn])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(experiments.EXPERIMENTS, "x", "han2022.central_path")
        for path, text in made.pages():
            page = Page(text)
            assert [a for tag, a in page.elements if tag == "script"] == [
                {"src": f"{'../' * path.count('/')}script.js", "defer": None}
            ]
            assert not any(tag == "img" or any(key.startswith("on") for key in a) for tag, a in page.elements)
            assert "49" not in page.words
            assert "alert(1)" in page.text
            html5lib.HTMLParser(strict=True).parse(text)


def test_formulas_are_escaped() -> None:
    told = alone("han2022/closed-form", derive=None)
    statement = (replace(told.sections.statement[0], rows=(r"\text{<script>alert(1)</script>}",)),)
    told = replace(told, sections=replace(told.sections, statement=statement))
    text = dict(Site({"han2022/closed-form": told}).pages())["claim/han2022/closed-form.html"]
    assert "<script>alert" not in text
    assert "alert(1)" in Page(text).words


def test_what_falls_with_a_refuted_claim_is_marked() -> None:
    names = (REFUTED, "garrod2025/flatness-ratio", "garrod2025/dnc-psd", "garrod2025/rho-identity")
    told = {name: alone(name, derive=None) for name in names}
    every = dict(Site(told).pages())
    assert "fallen" not in every["graph.html"].replace("sample fallen", "")
    assert "No claim of this report has it as a step" in every[f"claim/{REFUTED}.html"]
    for before, after in pairwise(names[:3]):
        told[after] = replace(told[after], shown={**told[after].shown, "depends": [before]})
    made = Site(told)
    every = dict(made.pages())
    assert made.impact == {REFUTED: tuple(sorted(names[1:3]))}
    assert every["graph.html"].count('class="node proved fallen"') == 1
    assert every["graph.html"].count('class="node supported fallen"') == 1
    assert every["graph.html"].count("arrow step fallen") == 2
    assert "with it fall" in every["graph.html"]
    for name in names[1:3]:
        assert "Rests on a refuted claim" in every[f"claim/{name}.html"]
        assert f"{name}.html" in every[f"claim/{REFUTED}.html"].partition("What falls with it")[2].partition("</p>")[0]
    assert "Rests on" not in every[f"claim/{names[3]}.html"]


def test_equal_input_gives_equal_output() -> None:
    name = "han2022/growth"
    first, second = (Site({name: alone(name)}).files() for _ in range(2))
    assert first == second, "seconds that a replay took do not appear"


def test_a_report_of_one_paper_has_no_dead_links(tmp_path: Path) -> None:
    names = site.chosen(["han2022"])
    assert {name.partition("/")[0] for name in names} == {"han2022", "tightframe"}
    assert "tightframe/growth-next-order" in names
    told = {name: alone(name, derive=None) for name in names[:3]}  # whose links partly lead to claims left out
    made = Site(told, selected=("han2022",))
    folders.replace_folder(tmp_path / "site", made.files(), site.KIND)
    found = {path: Page(text) for path, text in made.pages()}
    assert dead(tmp_path / "site", found) == []
    assert f"3 of {len(registry.paper('han2022').claims)} claims" in found["paper/han2022.html"].said()


# ------------------------------------------------------------------------------------------------ figures


def run_of(numbers: dict[str, Any]) -> Any:
    return lambda values, seed, progress: numbers


def drawing(numbers: Any) -> Any:
    raise AssertionError("nothing is drawn again")


PNG = figures.SIGNATURE + struct.pack(">I", 13) + b"IHDR" + struct.pack(">II", 640, 480)
EXPERIMENT = Experiment(
    "x", "It says", (), lambda values: 1, run_of({}), lambda numbers: [f"found {numbers['found']}"], drawing
)


def saved(folder: Path, numbers: Any, image: bytes | None = PNG) -> Path:
    (folder / "x.json").write_text(json.dumps(numbers))
    if image is not None:
        (folder / "x.png").write_bytes(image)
    return folder


def test_figures_are_those_of_the_numbers(tmp_path: Path) -> None:
    assert figures.read(EXPERIMENT, tmp_path).missing == "no figure was made for this report"
    good = {"experiment": "x", "seed": 3, "converged": True, "found": 2, "inputs": {"K": 4, "w": [0.5, 1.0]}}
    found = figures.read(EXPERIMENT, saved(tmp_path, good))
    assert (found.image, found.size, found.lines, found.missing) == ("x.png", (640, 480), ("found 2",), "")
    assert found.numbers is not None
    assert figures.inputs(found.numbers) == "K = 4; w = 0.5, 1; seed = 3"
    failed = good | {"converged": False, "reason": "too few steps"}
    found = figures.read(EXPERIMENT, saved(tmp_path, failed, None))  # the image of the run before is still there
    assert (tmp_path / "x.png").is_file()
    assert found.image is None
    assert found.missing == "no figure: the simulation did not converge (too few steps)"
    found = figures.read(replace(EXPERIMENT, drawn=lambda numbers: True), tmp_path)
    assert (found.image, found.failed) == ("x.png", "too few steps"), "a figure that marks what did not converge"


@pytest.mark.parametrize(
    "numbers",
    [
        [],
        {},
        {"experiment": "y", "converged": True, "found": 1},
        {"experiment": "x", "converged": 1, "found": 1},
        {"experiment": "x", "converged": True},
        {"experiment": "x", "converged": False, "found": 1},
    ],
)
def test_other_files_are_one_line(numbers: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not what tightframe simulate x writes today; run it again"):
        figures.read(EXPERIMENT, saved(tmp_path, numbers))


def test_an_image_that_is_none_is_one_line(tmp_path: Path) -> None:
    numbers = {"experiment": "x", "converged": True, "found": 1}
    with pytest.raises(ValueError, match=r"x\.png: not a PNG"):
        figures.read(EXPERIMENT, saved(tmp_path, numbers, b"<svg onload=x()>"))


def test_experiments_name_claims_that_there_are(pages: dict[str, Page]) -> None:
    for name in experiments.modules():
        experiment = experiments.find(name)
        assert set(experiment.claims) <= set(registry.claims())
        key = experiments.modules()[name].partition(".")[0]
        for path in (f"paper/{key}.html", *(f"claim/{claim}.html" for claim in experiment.claims)):
            assert f"{name}: {experiment.says}. No figure was made for this report." in pages[path].said()


# ------------------------------------------------------------------------------------------------ the graph


def test_boxes_do_not_overlap_and_arrows_point_to_the_right() -> None:
    rng = random.Random(0)
    for _ in range(25):
        names = [f"p/{i}" for i in range(rng.randint(2, 12))]
        every = [Arrow(a, b, "step") for a, b in combinations(names, 2) if rng.random() < 0.3]
        found = graph.plan(names, every)
        drawing, drawn = found.drawing, graph.reduced(every)
        assert set(drawing.boxes) == set(names)
        assert set(drawing.curves) == set(drawn)
        assert sorted(name for section in found.sections for name in section.names) == sorted(names)
        for (x, y), (a, b) in combinations(drawing.boxes.values(), 2):
            assert abs(x - a) >= graph.WIDTH or abs(y - b) >= graph.HEIGHT
        for arrow, points in drawing.curves.items():
            assert points[0][0] == drawing.boxes[arrow.source][0] + graph.WIDTH
            assert points[-1][0] == drawing.boxes[arrow.target][0]
            assert all(later[0] > point[0] for point, later in pairwise(points))
            for (_, y), _ in zip(points[1:-1:2], points[2:-1:2], strict=True):  # it runs between boxes, not behind them
                column = [top for left, top in drawing.boxes.values() if left == points[1][0]]
                assert all(not top < y < top + graph.HEIGHT for top in column) or len(points) > 4
        assert all(
            0 <= x <= drawing.width - graph.WIDTH and 0 <= y <= drawing.height for x, y in drawing.boxes.values()
        )


def test_what_follows_from_other_arrows_is_not_drawn_but_counts() -> None:
    every = [Arrow("p/a", "p/b", "step"), Arrow("p/b", "p/c", "step"), Arrow("p/a", "p/c", "step")]
    assert graph.reduced(every) == every[:2]
    assert graph.impact(["p/a"], every) == {"p/a": ("p/b", "p/c")}
    cycle = [*every, Arrow("p/c", "p/a", "step")]
    assert graph.reduced(cycle) == cycle
    assert set(graph.plan(["p/a", "p/b", "p/c"], cycle).drawing.curves) == set(cycle)


# ------------------------------------------------------------------------------------------------ the folder

FILES = {"index.html": b"new", "claim/x.html": b"page"}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def ours(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {**files, "report.json": folders.manifest("report", files, {})}


def test_a_folder_is_there_whole_and_replaced_whole(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "site"
    folders.replace_folder(folder, ours(FILES), "report")
    assert contents(folder) == ours(FILES)
    folders.replace_folder(folder, ours({"index.html": b"newer"}), "report")
    assert contents(folder) == ours({"index.html": b"newer"})
    (tmp_path / "empty").mkdir()
    folders.replace_folder(tmp_path / "empty", ours(FILES), "report")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "empty"]
    assert [path.name for path in folder.parent.iterdir()] == ["site"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("at", ["rename", "write_bytes"])
def test_a_failure_leaves_the_old_folder(
    error: BaseException, at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site"
    folders.replace_folder(folder, ours(FILES), "report")
    rename = Path.rename

    def fail(path: Path, *arguments: Any) -> Any:
        if at == "rename" and path.name != "new":
            return rename(path, *arguments)
        raise error

    monkeypatch.setattr(Path, at, fail)
    with pytest.raises(type(error)):
        folders.replace_folder(folder, ours({"index.html": b"newer"}), "report")
    monkeypatch.undo()
    assert contents(folder) == ours(FILES)
    assert list(tmp_path.iterdir()) == [folder]


def foreign(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    for name, files in {
        "notes": {"notes.txt": b"mine"},
        "added": ours(FILES) | {"notes.txt": b"mine"},
        "other": FILES | {"report.json": b'{"format": 1, "files": []}'},
        "broken": FILES | {"report.json": b"{"},
        "listed": FILES | {"report.json": b"[]"},
    }.items():
        for path, content in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_bytes(content)
        yield tmp_path / name, "not overwritten"
    yield tmp_path / "notes" / "notes.txt", "this is a file"
    (tmp_path / "folders" / "inside").mkdir(parents=True)
    yield tmp_path / "folders", "not overwritten"
    yield tmp_path, "not overwritten"


def test_what_is_not_ours_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, expected in list(foreign(tmp_path)):
        before = contents(tmp_path)
        assert cli.main(["report", "--out", str(folder)]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("tightframe: ")
        assert captured.err.count("\n") == 1
        assert expected in captured.err
        assert contents(tmp_path) == before


def test_what_cannot_be_written_is_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(site, "spread", lambda *arguments: pytest.fail("it began to work"))
    assert cli.main(["report", "--out", str(tmp_path / "file" / "site")]) == 2
    assert re.fullmatch(r"tightframe: cannot write to .*/site \(.*\)\n", capsys.readouterr().err)


def test_the_current_folder_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for folder in (Path(), Path(".."), tmp_path):
        with pytest.raises(ValueError, match="another folder than the current one"):
            folders.require_ours(folder, "report")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "Missing option '--out'"),
        (["--out", "site", "--paper", "nobody2020"], "no paper is called 'nobody2020'"),
        (["--out", "site", "--simulate", "central"], "no experiment is called 'central'"),
        (["--out", "site", "--figures", "nowhere"], "expected a folder that tightframe simulate --out wrote"),
        (["--out", "site", "--figures", "."], "expected a folder that tightframe simulate --out wrote"),
        (["--out", "site", "-j", "0"], "Invalid value"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    words: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["report", *words]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert expected in captured.err
    assert list(tmp_path.iterdir()) == []


def test_the_verb_prints_what_is_in_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(site, "chosen", lambda keys: ["han2022/closed-form", REFUTED])
    out = tmp_path / "site"
    assert cli.main(["report", "--out", str(out), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["claims"] == {"han2022/closed-form": "proved", REFUTED: "refuted"}
    assert data["pages"] == len(list(out.rglob("*.html"))) == 7
    assert data["refuted"] == {REFUTED: []}
    assert data["figures"] == []
    assert set(data["without_figure"]) == set(experiments.modules())
    assert cli.main(["report", "--out", str(out)]) == 0
    assert capsys.readouterr().out == (
        "2 claims: 1 proved, 1 refuted\n"
        f"figures of 0 of {len(experiments.modules())} experiments\n"
        f"written: {out / 'index.html'} and 6 more pages\n"
    )


def test_a_simulation_that_did_not_converge_ends_with_exit_code_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = experiments.find("central-path")
    failed = figures.Figure(experiment, {"converged": False, "reason": "too few steps"}, (), {})
    made = Site({}, [failed])
    monkeypatch.setattr(site, "report", lambda *arguments, **options: made)
    words = ["report", "--out", str(tmp_path / "site")]
    assert cli.main(words) == 0, "it was not asked for"
    assert capsys.readouterr().err == ""
    assert cli.main([*words, "--simulate", "central-path"]) == 3
    assert capsys.readouterr().err == "tightframe: central-path did not converge: too few steps\n"


# ------------------------------------------------------------------------------------------------ a browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as started:
        yield started


@needs_chromium
def test_a_reader_follows_the_graph_and_copies_a_citation(chromium: Any, built: Path) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    asked: list[str] = []
    troubles: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.goto((built / "index.html").as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.click("nav >> text=graph")
    page.focus('.graph a[href="claim/han2022/growth.html"]')
    assert page.evaluate("getComputedStyle(document.activeElement.querySelector('.box')).strokeWidth") == "4px"
    page.keyboard.press("Enter")
    page.wait_for_url("**/claim/han2022/growth.html")
    page.click("text=Copy LaTeX")
    page.wait_for_selector("text=LaTeX copied")
    assert page.evaluate("navigator.clipboard.readText()") == papers.cite(["han2022/growth"])
    steps = page.locator("#steps details")
    assert not any(steps.nth(at).get_attribute("open") is not None for at in range(steps.count()))
    page.click("text=Unfold all")
    assert all(steps.nth(at).get_attribute("open") is not None for at in range(steps.count()))
    page.click("dd >> text=han2022/closed-form")
    page.wait_for_url("**/claim/han2022/closed-form.html")
    assert troubles == []
    assert all(url.startswith(("file:", "data:")) for url in asked)
    context.close()


@needs_chromium
def test_without_a_clipboard_or_a_script_the_text_is_at_hand(chromium: Any, built: Path) -> None:
    address = (built / "claim" / "han2022" / "growth.html").as_uri()
    page = chromium.new_page()
    page.add_init_script(
        "Object.defineProperty(navigator, 'clipboard', {value: undefined}); document.execCommand = () => false"
    )
    page.goto(address)
    page.click("text=Copy Typst")
    page.wait_for_selector("text=Typst is selected")
    assert page.evaluate("String(getSelection())").strip() == papers.cite(["han2022/growth"], "typst").strip()
    page.close()
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert not page.is_visible("text=Copy LaTeX"), "no button that does nothing"
    page.click("summary >> text=LaTeX")
    assert page.is_visible("#cite-latex")
    context.close()


@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_wider_than_the_screen(width: int, chromium: Any, built: Path, tmp_path: Path) -> None:
    page = chromium.new_page(viewport={"width": width, "height": 844})
    kinds = ("index.html", "graph.html", "errata.html", "paper/garrod2025.html", f"claim/{REFUTED}.html")
    for name in (*kinds, *(f"claim/{whole}.html" for whole in WHOLE)):
        page.goto((built / name).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == width, name
        assert len(page.screenshot(path=tmp_path / "page.png")) > 10_000
    page.set_content(f"<p style='width: {width + 1}px'>too wide</p>")
    assert page.evaluate("document.documentElement.scrollWidth") > width
    page.close()


# ------------------------------------------------------------------------------------------------ all of it


@pytest.mark.slow
def test_the_whole_report_is_the_same_in_any_process(tmp_path: Path) -> None:
    found: list[dict[str, bytes]] = []
    for seed in ("1", "2"):
        out = tmp_path / seed
        command = [sys.executable, "-m", "tightframe.papers.cli", "report", "--out", str(out), "-j", seed]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True)
        found.append(contents(out))
    assert found[0] == found[1]
    every = {path: Page(text.decode()) for path, text in found[0].items() if path.endswith(".html")}
    assert dead(tmp_path / "1", every) == []
    for name, claim in registry.claims().items():
        said, derivation = every[f"claim/{name}.html"].said(), claim.derivation
        if derivation is not None:
            assert f"{len(derivation.steps)} of {len(derivation.steps)} steps machine-checked" in said
        verdict = Verdict(papers.show(name)["verdict"])
        assert f"{site.MARKS[verdict]} {verdict}" in said


@pytest.mark.slow
def test_a_figure_is_made_where_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "chosen", lambda keys: ["han2022/closed-form"])
    made = papers.report(tmp_path / "site", simulate=["central-path"])
    said = Page((tmp_path / "site" / "claim" / "han2022" / "closed-form.html").read_text()).said()
    assert "central path: C = 4, N = 7, p = 5" in said
    assert (tmp_path / "site" / "figure" / "central-path.png").read_bytes().startswith(figures.SIGNATURE)
    experiments.simulate("central-path", out=tmp_path / "figures")
    again = papers.report(tmp_path / "again", figures=tmp_path / "figures")
    assert again.files() == made.files()
