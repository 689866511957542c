"""The page of a paper: what was found of every claim, from the registry and the evidence on disk alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tightframe.papers import registry
from tightframe.papers.claim import Claim
from tightframe.papers.evidence import Verdict
from tightframe.papers.experiments import EXPERIMENTS
from tightframe.papers.store import Store
from tightframe.papers.verification import Standing, standing
from tightframe.papers.writing import summary
from typer.testing import CliRunner

PAPERS = [key for key in registry.papers() if key != "tightframe"]


@pytest.fixture(scope="module", autouse=True)
def looked_up_once() -> Iterator[None]:
    """Every claim's evidence is read and checked once, not for every page."""
    found: dict[str, Standing] = {}

    def once(claim: Claim, store: Store | None = None) -> Standing:
        if claim.id not in found:
            found[claim.id] = standing(claim, store)
        return found[claim.id]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summary, "standing", once)
        yield


@pytest.fixture(scope="module", params=PAPERS)
def page(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param, summary.summary(request.param)


def test_every_claim_stands_on_the_page_with_its_verdict(page: tuple[str, str]) -> None:
    key, text = page
    sections = text.split("\n## ")[1:]
    found = [re.search(rf"Claim `({key}/[a-z0-9-]+)`", section) for section in sections]
    named = [match.group(1) for match in found if match]
    assert named == [claim.id for claim in registry.paper(key).claims]
    for section, match in zip(sections, found, strict=True):
        if match:
            where = summary.standing(registry.find(match.group(1)))
            assert f"Verdict: {where.verdict_text()}" in section
            assert all(lemma in section for lemma in where.conditional_on)


def test_the_page_names_what_corrects_and_what_sharpens(page: tuple[str, str]) -> None:
    key, text = page
    for claim in registry.paper(key).claims:
        section = next(part for part in text.split("\n## ") if f"Claim `{claim.id}`" in part)
        corrected = registry.corrected_by(claim)
        assert (f"**Corrected by** `{corrected}`" in section) == (corrected is not None)
        assert all(name in section for name in registry.sharpened_by(claim))


def test_experiments_are_named_with_their_command(page: tuple[str, str]) -> None:
    key, text = page
    for name, module in EXPERIMENTS.items():
        assert (f"`tightframe simulate {name}`" in text) == module.startswith(f"{key}.")


def test_the_word_follows_the_evidence() -> None:
    """A claim is confirmed while its evidence is, and no longer."""
    claim = registry.find("garrod2025/dnc-psd")
    where = summary.standing(claim)
    assert summary.finding(claim, where) == "confirmed, and sharpened"
    words = {Verdict.OPEN: "undecided", Verdict.REFUTED: "refuted", Verdict.ATTESTED: "attested, and sharpened"}
    for verdict, word in words.items():
        assert summary.finding(claim, replace(where, verdict=verdict)) == word
    assert summary.finding(claim, replace(where, verdict=Verdict.SUPPORTED, evidence=())) == "supported by simulation"


def test_the_command_line() -> None:
    from tightframe.papers.cli import app

    runner = CliRunner()
    found = json.loads(runner.invoke(app, ["derive", "--paper", "han2022", "--format", "latex", "--json"]).stdout)
    assert found["paper"] == "han2022"
    assert found["text"].startswith(r"\documentclass")
    for arguments in ([], ["han2022/closed-form", "--paper", "han2022"], ["--paper", "han2022", "--set", "C=2"]):
        assert runner.invoke(app, ["derive", *arguments]).exit_code != 0
