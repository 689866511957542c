"""Every claim: theory agrees with simulation, its certificate binds, and slips of the pen are caught."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tightframe.papers import registry, verification
from tightframe.papers.claim import Claim
from tightframe.papers.evidence import Comparison, Evidence, Kind, Verdict, holds_in, verdict_of
from tightframe.papers.store import shipped_certificate
from tightframe.theory.derivation import Proof
from tightframe.theory.proof import checker
from tightframe.theory.proof.certificate import binding

DERIVED = [name for name, claim in registry.claims().items() if claim.derive is not None]
IDS = [name for name in DERIVED if registry.find(name).recorded is not Verdict.REFUTED]
SIMULATED = [name for name in IDS if registry.find(name).numerics is not None]


@pytest.fixture(params=IDS)
def claim(request: pytest.FixtureRequest) -> Claim:
    return registry.find(request.param)


@pytest.mark.parametrize("claim_id", SIMULATED)
@settings(max_examples=15)
@given(data=st.data())
def test_theory_agrees_with_simulation(claim_id: str, data: st.DataObject) -> None:
    claim = registry.find(claim_id)
    values = data.draw(claim.domain.strategy())
    comparison = claim.compare(values, data.draw(st.integers(0, 2**31 - 1)))
    if comparison.converged:
        assert holds_in(claim.kind, comparison), f"{values}: {comparison}"


def test_the_derivation_reaches_the_claim_and_gives_the_shipped_certificate(claim: Claim) -> None:
    assert claim.derivation is not None
    proof = claim.derivation.prove(claim.id)
    assert isinstance(proof, Proof), proof
    assert binding(proof.certificate) == claim.normal_form
    assert not proof.report.assumed_nonzero
    shipped = shipped_certificate(claim.id)
    assert shipped is not None
    verification.accept(claim, shipped)
    assert json.loads(json.dumps(proof.certificate)) == shipped, "run make certificates"


@pytest.fixture(scope="module")
def shipped() -> dict[str, Any]:
    found = {name: shipped_certificate(name) for name in IDS}
    return {name: certificate for name, certificate in found.items() if certificate is not None}


def test_no_two_claims_can_share_a_certificate(shipped: dict[str, Any]) -> None:
    assert list(shipped) == IDS
    bound = {name: json.dumps(binding(certificate), sort_keys=True) for name, certificate in shipped.items()}
    hashes = {registry.find(name).hash for name in IDS}
    assert len(set(bound.values())) == len(hashes)


def test_a_certificate_of_another_claim_is_not_accepted(claim: Claim, shipped: dict[str, Any]) -> None:
    position = IDS.index(claim.id)
    for other in (IDS[position - 1], IDS[(position + 7) % len(IDS)]):
        assert registry.find(other).hash != claim.hash
        with pytest.raises(checker.Rejected, match="another statement"):
            verification.accept(claim, {**shipped[other], "claim": claim.id})


def test_a_false_claim_is_refuted_by_the_pipeline() -> None:
    claim = registry.find("han2022/total-covariance")
    false = replace(claim, statement=replace(claim.statement, right=2 * claim.statement.right))  # pyrefly: ignore
    evidence, witness = verification.prove(false)
    assert evidence.outcome == "refuted"
    assert witness is not None
    standing = verification.verify_claim(false, None, budget=5)
    assert standing.verdict is Verdict.REFUTED
    assert standing.exit_code == 1


def test_simulation_that_disagrees_stops_a_proof_from_being_green() -> None:
    claim = registry.find("han2022/total-covariance")
    wrong = replace(claim, numerics=lambda values, seed: Comparison([1.0], [2.0], 1e-9))
    standing = verification.verify_claim(wrong, None, budget=5)
    assert standing.verdict is Verdict.OPEN
    assert standing.exit_code == 1


def test_simulation_that_does_not_converge_is_no_evidence() -> None:
    claim = replace(
        registry.find("han2022/total-covariance"),
        derive=None,
        numerics=lambda values, seed: Comparison([1.0], [1.0], 1e-9, converged=False),
    )
    standing = verification.verify_claim(claim, None, budget=5)
    assert standing.verdict is Verdict.OPEN
    assert standing.exit_code == 3


def test_agreement_alone_is_only_support() -> None:
    claim = replace(registry.find("han2022/total-covariance"), derive=None)
    assert verification.verify_claim(claim, None, budget=5).verdict is Verdict.SUPPORTED


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ((), Verdict.OPEN),
        (("undecided",), Verdict.OPEN),
        (("agree",), Verdict.SUPPORTED),
        (("partial",), Verdict.SUPPORTED),
        (("partial", "undecided"), Verdict.OPEN),
        (("partial", "agree"), Verdict.SUPPORTED),
        (("accepted",), Verdict.PROVED),
        (("attested",), Verdict.ATTESTED),
        (("attested", "agree"), Verdict.ATTESTED),
        (("attested", "diverge"), Verdict.OPEN),
        (("accepted", "undecided"), Verdict.PROVED),
        (("accepted", "diverge"), Verdict.OPEN),
        (("accepted", "refuted"), Verdict.OPEN),
        (("refuted", "agree"), Verdict.REFUTED),
        (("agree", "diverge"), Verdict.OPEN),
    ],
)
def test_verdicts_follow_the_evidence(outcomes: tuple[str, ...], verdict: Verdict) -> None:
    assert verdict_of([Evidence("x", "y", outcome, "z", 0.0, "") for outcome in outcomes]) is verdict


@pytest.mark.parametrize("kind", [Kind.IDENTITY, Kind.INVARIANCE, Kind.OPTIMUM])
def test_assertions_catch_nan_and_missing_values(kind: Kind) -> None:
    assert holds_in(kind, Comparison([1.0, 2.0], [1.0, 2.0], 1e-9))
    assert not holds_in(kind, Comparison([1.0, float("nan")], [1.0, 2.0], 1e-9))
    assert not holds_in(kind, Comparison([1.0], [1.0, 2.0], 1e-9))
    assert not holds_in(kind, Comparison([], [], 1e-9))
    assert not holds_in(kind, Comparison([1.0, 2.0], [1.0, 2.1], 1e-9))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"C": 1, "N": 3, "p": 2, "lambda": 0.1}, "C (number of classes): expected an integer >= 2, got 1"),
        ({"C": 3, "N": 1, "p": 2, "lambda": 0.1}, "N (samples per class): expected an integer >= 2, got 1"),
        ({"C": 3, "N": 2.5, "p": 2, "lambda": 0.1}, "N (samples per class): expected an integer >= 2, got 2.5"),
        ({"C": 3, "N": 3, "p": 2, "lambda": float("nan")}, "lambda (weight decay): expected a finite number >= 0"),
        ({"C": 3, "N": 3, "p": 2, "lambda": -1.0}, "lambda (weight decay): expected a finite number >= 0, got -1.0"),
        ({"C": 3, "N": 3, "p": 2}, "no value for lambda"),
        ({"C": 3, "N": 3, "p": 2, "lambda": 0.1, "K": 3}, "unknown parameter 'K'; known: C, N, p, lambda"),
        ({"C": 2, "N": 2, "p": 9, "lambda": 0.0}, "the claim needs"),
    ],
)
def test_values_outside_the_domain_are_refused_in_one_line(values: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        registry.find("han2022/ls-decomposition").compare(values)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_sharper_claims_are_linked() -> None:
    assert registry.sharpened_by(registry.find("han2022/nc-decomposition")) == ["tightframe/class-mean-split"]
    for claim in registry.claims().values():
        for other in (claim.sharpens, claim.corrects):
            assert other is None or other in registry.claims()


def test_ids_are_unique_and_belong_to_their_paper() -> None:
    for key, paper in registry.papers().items():
        assert all(claim.id.startswith(f"{key}/") for claim in paper.claims)
        assert f"{{{key}," in paper.bibtex
