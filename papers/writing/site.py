"""The report: all claims as static pages, for reading offline: what ``tightframe report --out DIR`` writes.

Every page is made from what ``tightframe show`` says, from the derivation as far as the certificate on disk proves it,
and from the files of simulations that were named. Nothing is proved or simulated on the way, unless it is asked for.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ...theory.proof import checker
from .. import experiments, registry
from ..claim import Claim, Paper
from ..display import describe, summary
from ..evidence import Verdict
from ..store import Store
from ..verification import spread, standing
from . import citation, conversion, documents
from . import figures as drawings
from .bibliography import SOFTWARE, bibtex, reference
from .documents import Sections
from .figures import Figure
from .folders import manifest, replace_folder, require_ours, require_writable
from .formats import TEMPLATES, environment
from .graph import HEIGHT, KINDS, WIDTH, Arrow, Plan, arrows, impact, plan

KIND = "report"

# Each verdict with a mark, so that colour is not all that tells them apart, and in words, as in the README.
MARKS = {
    Verdict.PROVED: "✓",
    Verdict.ATTESTED: "◆",
    Verdict.SUPPORTED: "◐",
    Verdict.OPEN: "○",
    Verdict.REFUTED: "✕",
}
MEANINGS = {
    Verdict.PROVED: "every step carries a certificate that the independent checker re-verified, on the whole domain; a "
    "lemma of the literature that it rests on is named",
    Verdict.ATTESTED: "a trusted engine says so on the whole domain, without a certificate that can be re-checked",
    Verdict.SUPPORTED: "sampled or simulated evidence only, or a proof of part of the domain",
    Verdict.OPEN: "undecided, or the two sides disagree",
    Verdict.REFUTED: "an exact counterexample inside the stated domain",
}


@dataclass(frozen=True)
class Told:
    """What a report tells of a claim: the data of ``show``, the parts of its document, its citations by format."""

    shown: Mapping[str, Any]
    verdict: str  # with the lemmas that it is conditional on
    evidence: str  # in a few words
    sections: Sections
    citations: Mapping[str, str]

    @property
    def conditions(self) -> str:
        """What the verdict is conditional on, as one line."""
        shown = self.shown
        return checker.conditions(shown["conditional_on"], shown["assumptions"], shown["unchecked"])

    @property
    def checked(self) -> int:
        return sum(step.checked for step in self.sections.steps)

    @property
    def witness(self) -> str:
        """The counterexample, in words; empty if there is none."""
        pieces = (piece for piece in self.shown["evidence"] if piece["outcome"] == "refuted")
        return "; ".join(piece["detail"] for piece in pieces)


def tell(claim: Claim, store: Store | None = None) -> Told:
    """What there is to tell of a claim, by what is on disk."""
    where = standing(claim, store)
    cited = citation.Citation(claim, where)
    texts = {
        "LaTeX": citation.latex(cited),
        "Typst": citation.typst(cited),
        "Markdown": citation.markdown(cited),
        "BibTeX": bibtex(registry.paper(claim.paper)),
    }
    return Told(describe(claim, where), where.verdict_text(), summary(where), documents.sections(claim, where), texts)


def _work(task: tuple[str, Path | None]) -> Told:
    name, folder = task
    return tell(registry.find(name), None if folder is None else Store(folder))


# ------------------------------------------------------------------------------------------------ pages


@dataclass(frozen=True)
class Site:
    """The pages of a report: of these claims in their order, with these figures."""

    told: Mapping[str, Told]
    figures: Sequence[Figure] = ()
    selected: tuple[str, ...] = ()  # the papers that were asked for; all if none

    @cached_property
    def shown(self) -> dict[str, Mapping[str, Any]]:
        return {name: told.shown for name, told in self.told.items()}

    @cached_property
    def papers(self) -> dict[str, list[str]]:
        """The papers of the claims, each with the claims of it that are in the report, in the paper's order."""
        found: dict[str, list[str]] = {}
        for name, data in self.shown.items():
            found.setdefault(data["paper"], []).append(name)
        return found

    def paper(self, key: str) -> Paper:
        return registry.paper(key)

    @cached_property
    def counts(self) -> dict[Verdict, int]:
        """How many claims have each verdict."""
        verdicts = [data["verdict"] for data in self.shown.values()]
        return {verdict: verdicts.count(verdict) for verdict in Verdict}

    @cached_property
    def errata(self) -> dict[str, list[str]]:
        """The claims that are refuted, corrected or sharpened, each with the claims that say it better."""
        found: dict[str, list[str]] = {}
        for name, data in self.shown.items():
            better = [data["corrected_by"]] if data["corrected_by"] else []
            better += data["sharpened"]
            if better or data["verdict"] == Verdict.REFUTED:
                found[name] = better
        return dict(sorted(found.items(), key=lambda item: self.shown[item[0]]["verdict"] != Verdict.REFUTED))

    @cached_property
    def arrows(self) -> list[Arrow]:
        return arrows(self.shown)

    @cached_property
    def impact(self) -> dict[str, tuple[str, ...]]:
        """What falls with each refuted claim."""
        refuted = [name for name, data in self.shown.items() if data["verdict"] == Verdict.REFUTED]
        return impact(refuted, self.arrows)

    @cached_property
    def plan(self) -> Plan:
        return plan(list(self.told), self.arrows)

    def rests_on(self, name: str) -> list[str]:
        """The refuted claims on which a claim rests."""
        return [refuted for refuted, others in self.impact.items() if name in others]

    def used_by(self, name: str) -> list[str]:
        return [other for other, data in self.shown.items() if name in data["depends"]]

    def figures_of(self, *, claim: str = "", paper: str = "") -> list[Figure]:
        """The experiments that show something of a claim, or those of a paper."""
        return [
            figure
            for figure in self.figures
            if (claim and claim in figure.experiment.claims) or (paper and drawings.paper(figure) == paper)
        ]

    def lemmas(self) -> dict[str, list[str]]:
        """The lemmas of the literature that are believed, each with the claims that are conditional on it."""
        found: dict[str, list[str]] = {}
        for name, data in self.shown.items():
            for lemma in data["conditional_on"]:
                found.setdefault(lemma, []).append(name)
        return dict(sorted(found.items(), key=lambda item: item[0].casefold()))

    def pages(self) -> Iterator[tuple[str, str]]:
        """Every page: its path below the folder, and its text."""
        yield "index.html", self.render("index.html")
        for key, names in self.papers.items():
            yield f"paper/{key}.html", self.render("paper.html", depth=1, paper=self.paper(key), names=names)
            for at, name in enumerate(names):
                near = (names[at - 1] if at else None, names[at + 1] if at + 1 < len(names) else None)
                page = self.render("claim.html", depth=2, name=name, told=self.told[name], near=near)
                yield f"claim/{name}.html", page
        yield "graph.html", self.render("graph.html", path=_path, box=(WIDTH, HEIGHT), kinds=KINDS)
        yield "errata.html", self.render("errata.html")

    def render(self, template: str, depth: int = 0, **context: Any) -> str:
        base = "../" * depth
        text = str(
            _environment()
            .get_template(f"report/{template}")
            .render(
                site=self,
                base=base,
                url=lambda target: base + quote(target),
                version=version(SOFTWARE),
                marks=MARKS,
                meanings=MEANINGS,
                **context,
            )
        )
        return re.sub(r"</math>(?=[,.;:)])", "</math>\u2060", text)  # punctuation stays on the line of its formula

    def json(self, out: Path) -> dict[str, Any]:
        """What is in the report: what ``tightframe report --json`` prints."""
        return {
            "out": str(out),
            "pages": len(self.told) + len(self.papers) + 3,
            "claims": {name: data["verdict"] for name, data in self.shown.items()},
            "refuted": {name: list(others) for name, others in self.impact.items()},
            "figures": [figure.experiment.name for figure in self.figures if figure.image],
            "without_figure": {figure.experiment.name: figure.missing for figure in self.figures if not figure.image},
        }

    def plain(self, out: Path) -> str:
        """The same in a few lines."""
        data = self.json(out)
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in self.counts.items() if count)
        drawn, total = len(data["figures"]), len(self.figures)
        lines = [f"{len(self.told)} claims: {verdicts}", f"figures of {drawn} of {total} experiments"]
        return "\n".join((*lines, f"written: {out / 'index.html'} and {data['pages'] - 1} more pages"))

    def files(self) -> dict[str, bytes]:
        """Every file of the report by its path."""
        found = {path: text.encode() for path, text in self.pages()}
        folder = TEMPLATES / "report"
        found |= {name: (folder / name).read_bytes() for name in ("style.css", "script.js")}
        for figure in self.figures:
            found |= {f"figure/{name}": data for name, data in (figure.files or {}).items()}
        claims = {name: {"hash": data["hash"], "verdict": data["verdict"]} for name, data in self.shown.items()}
        return found | {f"{KIND}.json": manifest(KIND, found, {"version": version(SOFTWARE), "claims": claims})}


def _environment() -> Any:
    found = environment()
    found.filters["reference"] = reference
    found.filters["inputs"] = drawings.inputs
    return found


def _path(points: Sequence[tuple[float, float]]) -> str:
    """The path of an arrow: curves between layers, straight lines across them."""
    (x, y), *others = points
    parts = [f"M{x:.1f} {y:.1f}"]
    for at, (a, b) in enumerate(others):
        middle = (x + a) / 2
        curve = f"C{middle:.1f} {y:.1f} {middle:.1f} {b:.1f} {a:.1f} {b:.1f}"
        parts.append(f"L{a:.1f} {b:.1f}" if at % 2 else curve)
        x, y = a, b
    return " ".join(parts)


# ------------------------------------------------------------------------------------------------ the verb


def chosen(keys: Iterable[str]) -> list[str]:
    """The claims of some papers, and those that they correct, sharpen, or are corrected or sharpened by; else all.

    Raises:
        UnknownName: naming the papers that there are.
    """
    wanted: set[str] = set()
    for key in keys:
        for claim in registry.paper(key).claims:
            links = (claim.sharpens, claim.corrects, registry.corrected_by(claim), *registry.sharpened_by(claim))
            wanted |= {claim.id, *(link for link in links if link)}
    return [name for name in registry.claims() if not wanted or name in wanted]


def report(
    out: Path | str,
    papers: Sequence[str] = (),
    *,
    figures: Path | str | None = None,
    simulate: Sequence[str] = (),
    seed: int = 0,
    jobs: int = 1,
    store: Store | None = None,
    progress: Callable[[str], None] = lambda name: None,
) -> Site:
    """Write the report of all claims, or of some papers, into a folder, and return what is in it.

    ``figures`` is a folder that ``simulate`` wrote; the experiments named by ``simulate`` are run at their defaults
    first. Equal claims, evidence and figures give equal files. A folder that is no report is never overwritten.

    Raises:
        UnknownName: for a paper or an experiment that there is not.
        ValueError: in one line, for a folder that is not ours or cannot be written to, or for figures that are not what
            ``simulate`` writes. Only what is written at last can fail after the work.
    """
    conversion.required("jinja2", "jinja2", "the report")
    require_ours(Path(out), KIND)
    names, wanted = chosen(papers), [experiments.find(name) for name in simulate]
    at_hand = {figure.experiment.name: figure for figure in drawings.of(None if figures is None else Path(figures))}
    with _writing(out):
        require_writable(Path(out))
    for experiment in wanted:
        with tempfile.TemporaryDirectory() as scratch:
            experiments.simulate(experiment.name, seed=seed, out=scratch)
            at_hand[experiment.name] = drawings.read(experiment, Path(scratch))
        progress(experiment.name)
    told: dict[str, Told] = {}
    for found in spread(_work, [(name, None if store is None else store.folder) for name in names], jobs):
        told[found.shown["id"]] = found
        progress(found.shown["id"])
    site = Site(told, list(at_hand.values()), tuple(papers))
    with _writing(out):
        replace_folder(Path(out), site.files(), KIND)
    return site


@contextmanager
def _writing(out: Path | str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ValueError(f"cannot write to {out} ({error.strerror})") from None
