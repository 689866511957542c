"""Gathers evidence for claims from both sides, and says what it amounts to."""

from __future__ import annotations

import gc
import hashlib
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..theory.derivation import Attestation, Proof
from ..theory.proof import checker
from ..theory.proof.certificate import binding
from . import claims_files, provenance, registry
from .claim import Claim
from .evidence import Evidence, Verdict, holds_in, verdict_of
from .store import Record, Store, StoreError, shipped_certificate, shipped_runs
from .writing.conversion import MissingExtra

# Examples a claim: --quick stays within about a minute for all claims, --full is ten times as long.
BUDGETS = {"quick": 40, "full": 400}


@dataclass(frozen=True)
class Standing:
    """Where a claim stands: its verdict, the evidence for it, and the checker's report on its certificate.

    ``numbers`` are those of the runs that an empirical claim rests on, where they were just made or read.
    """

    claim: str
    verdict: Verdict
    recorded: Verdict
    evidence: tuple[Evidence, ...]
    certificate: Mapping[str, Any] | None = None
    report: checker.Report | None = None
    seconds: float = 0.0
    numbers: Mapping[str, Any] | None = None

    @property
    def exit_code(self) -> int:
        """0 as recorded or better; 3 undecided; 1 where evidence contradicts or weakens the recorded verdict.

        2 where the code of a claim of the user's failed.
        """
        if any(piece.outcome == "failed" for piece in self.evidence):
            return 2
        if self.verdict == self.recorded:
            return 0
        contradiction = any(piece.outcome in ("diverge", "refuted") for piece in self.evidence)
        if contradiction or self.verdict is Verdict.REFUTED or self.recorded is Verdict.REFUTED:
            return 1
        if self.verdict.strength >= self.recorded.strength:
            return 0
        return 3 if self.verdict is Verdict.OPEN else 1

    @property
    def conditional_on(self) -> tuple[str, ...]:
        """Lemmas of the literature that the certificate, or the reading of its statement, rests on."""
        if self.report is None:
            return ()
        try:
            lemmas = registry.find(self.claim).lemmas
        except registry.UnknownName:
            lemmas = ()
        return tuple(sorted({*self.report.conditional_on, *lemmas}))

    @property
    def unchecked(self) -> tuple[str, ...]:
        """Those among these lemmas whose instances among the hypotheses nothing has checked."""
        return self.report.unchecked if self.report is not None else ()

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Hypotheses that are given under the name of a lemma, but are no instance of it."""
        return self.report.assumptions if self.report is not None else ()

    @property
    def conditions(self) -> str:
        """All that the verdict is conditional on, as one line; empty if nothing."""
        return checker.conditions(self.conditional_on, self.assumptions, self.unchecked)

    def verdict_text(self) -> str:
        """The verdict with what it is conditional on."""
        return f"{self.verdict} (conditional on {self.conditions})" if self.conditions else str(self.verdict)


def accept(claim: Claim, certificate: Mapping[str, Any]) -> checker.Report:
    """Check a certificate and that it proves exactly this claim.

    Raises:
        checker.Rejected: if the checker rejects it, or if it proves something else.
    """
    report = checker.check(certificate)
    if binding(certificate) != claim.normal_form:
        raise checker.Rejected(f"the certificate proves another statement than {claim.id}")
    return report


def _home(claim: Claim) -> Path:
    """The file that a claim is written in; of a draft that is in no registry, that of the draft."""
    known = claim.paper in registry.shipped_keys() or registry.is_own(claim.paper)
    return registry.home(claim.paper) if known or not claim.origin else Path(claim.origin.rpartition(":")[0])


def _key(claim: Claim, kind: str, seed: int, budget: int) -> dict[str, Any]:
    return {
        "claim": claim.id,
        "hash": claim.hash,
        "kind": kind,
        "sources": provenance.source_hash(_home(claim), kind),
        "engines": provenance.engines(kind),
        "seed": seed,
        "budget": budget,
    }


# ------------------------------------------------------------------------------------------------------- evidence


def _accepted(claim: Claim, report: checker.Report, seconds: float) -> Evidence:
    missing = [f"{name} = 0" for name in report.assumed_nonzero] + ([claim.beyond] if claim.beyond else [])
    partial = ", ".join(missing)
    coverage = f"whole domain, all but: {partial}" if partial else "whole domain"
    detail = f"{report.steps} steps re-verified by the checker; rules: {', '.join(report.rules)}"
    provers = "star" if "star" in report.rules else report.rules[-1]
    return Evidence("proof", provers, "partial" if partial else "accepted", coverage, seconds, detail)


def _attested(claim: Claim, outcome: Attestation) -> Evidence:
    steps = ", ".join(outcome.smtlib)
    detail = f"z3 attests, without a certificate: {steps}; the SMT-LIB text is stored"
    return Evidence("proof", "z3", "attested", "whole domain", outcome.seconds, detail)


def prove(claim: Claim, seed: int = 0) -> tuple[Evidence, Mapping[str, Any] | None]:
    """Search a certificate; failing that, an exact counterexample of the claim itself."""
    started = time.perf_counter()
    derivation = claim.derivation
    reason = "no derivation"
    if derivation is not None:
        outcome = derivation.prove(claim.id, seed)
        if isinstance(outcome, Proof):
            try:
                return _accepted(
                    claim, accept(claim, outcome.certificate), time.perf_counter() - started
                ), outcome.certificate
            except checker.Rejected as error:
                reason = str(error)
        elif isinstance(outcome, Attestation):
            bound = derivation.setting.normal_form(derivation.statement) == claim.normal_form
            if bound and not claim.beyond:
                return _attested(claim, outcome), {"smtlib": dict(outcome.smtlib)}
            reason = "z3 attests a part of the claim, or another statement"
        else:
            reason = f"step {outcome.step!r}: {outcome.reason}"
    found, witness = _refuted(claim, seed, started)
    return found or Evidence("proof", "star", "undecided", "none", time.perf_counter() - started, reason), witness


def _refuted(claim: Claim, seed: int, started: float) -> tuple[Evidence, Mapping[str, Any]] | tuple[None, None]:
    """An exact counterexample, if one of the examples of the setting is."""
    witness = claim.setting.refute(claim.statement, seed=seed)
    if witness is None:
        return None, None
    where = ", ".join(f"{name} = {value}" for name, value in witness["parameters"].items())
    seconds, detail = time.perf_counter() - started, f"false in an exact example with {where}"
    return Evidence("counterexample", "refuter", "refuted", "one point of the domain", seconds, detail), witness


def simulate(claim: Claim, budget: int, seed: int = 0) -> Evidence:
    """Compare theory with simulation on ``budget`` examples of the domain."""
    started = time.perf_counter()
    rng = random.Random(int(hashlib.sha256(f"{claim.id}:{seed}".encode()).hexdigest()[:12], 16))
    agreed, missed = 0, 0
    worst = 0.0
    for _ in range(budget):
        values, example = claim.domain.sample(rng), rng.randrange(2**31)
        comparison = claim.compare(values, example)
        if not comparison.converged:
            missed += 1
            continue
        if not holds_in(claim.kind, comparison):
            detail = f"diverges at {values}, seed {example}"
            return Evidence("property", "simulation", "diverge", "one example", time.perf_counter() - started, detail)
        agreed += 1
        worst = max(worst, comparison.tolerance)
    seconds = time.perf_counter() - started
    coverage = f"{agreed} of {budget} sampled examples"
    if agreed < 0.9 * budget:  # a claim that rests on what did not converge is open
        return Evidence("property", "simulation", "undecided", coverage, seconds, f"{missed} did not converge")
    return Evidence("property", "simulation", "agree", coverage, seconds, f"tolerance at most {worst:.1e}")


def judged(claim: Claim, numbers: Mapping[str, Any], seconds: float) -> Evidence:
    """What the numbers of runs say about an empirical claim; nothing at all if they cannot be read as such."""
    if claim.runs is None:
        raise ValueError(f"{claim.id} does not rest on runs")
    try:
        found = claim.runs.judge(numbers)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        reason = f"the numbers cannot be read ({type(error).__name__}: {error})"
        return Evidence("simulation", claim.runs.experiment, "undecided", "none", seconds, reason)
    if found.outcome not in ("agree", "partial", "undecided"):
        raise ValueError(f"{claim.id}: runs cannot have the outcome {found.outcome!r}")
    return Evidence("simulation", claim.runs.experiment, found.outcome, found.coverage, seconds, found.detail)


def observe(claim: Claim, full: bool, seed: int = 0) -> tuple[Evidence, Mapping[str, Any]]:
    """Run the experiment that an empirical claim rests on, and judge its numbers."""
    from . import experiments

    if claim.runs is None:
        raise ValueError(f"{claim.id} does not rest on runs")
    started = time.perf_counter()
    inputs = claim.runs.full if full else claim.runs.quick
    numbers = experiments.simulate(claim.runs.experiment, seed=seed, **inputs)
    return judged(claim, numbers, time.perf_counter() - started), numbers


def _observed(claim: Claim, full: bool, seed: int) -> tuple[Evidence, Mapping[str, Any] | None]:
    """The same; where a package is missing, a piece that names it, and no other claim is kept from its verdict."""
    try:
        return observe(claim, full, seed)
    except MissingExtra as error:
        return Evidence("simulation", "none", "unavailable", "none", 0.0, str(error)), None


# ---------------------------------------------------------------------------------------------------- one claim


def verify_claim(claim: Claim, store: Store | None, budget: int, seed: int = 0) -> Standing:
    """Evidence from both sides, from the store where it is current, else gathered afresh and stored."""
    return _despite_errors(claim, lambda: _verified(claim, store, budget, seed))


def _verified(claim: Claim, store: Store | None, budget: int, seed: int) -> Standing:
    started = time.perf_counter()
    if claim.runs is not None:
        piece, numbers = _stored_runs(claim, store, seed, budget)
        if piece is None:
            piece, numbers = _observed(claim, budget >= BUDGETS["full"], seed)
            _keep(store, Record(_key(claim, "runs", seed, budget), piece, {"numbers": numbers}))
        seconds = time.perf_counter() - started
        return Standing(claim.id, verdict_of([piece]), claim.recorded, (piece,), seconds=seconds, numbers=numbers)
    proof, certificate, report = _stored_proof(claim, store, seed)
    if proof is None:
        proof, certificate = _guarded(claim, "proof", lambda: prove(claim, seed))
        _keep(store, Record(_key(claim, "proof", seed, 0), proof, certificate))
    pieces = [proof]
    if claim.numerics is not None:
        piece = _stored_simulation(claim, store, seed, budget)
        if piece is None:
            piece, _ = _guarded(claim, "property", lambda: (simulate(claim, budget, seed), None))
            _keep(store, Record(_key(claim, "property", seed, budget), piece))
        pieces.append(piece)
    return _standing(claim, pieces, certificate, report, time.perf_counter() - started)


Gathered = tuple[Evidence, Mapping[str, Any] | None]


def _guarded(claim: Claim, kind: str, gather: Callable[[], Gathered]) -> Gathered:
    """Evidence that code of the user's is needed for; where that fails, a piece that says so and where."""
    if not registry.is_own(claim.paper):
        return gather()
    started = time.perf_counter()
    try:
        return gather()
    except Exception as error:
        return _failed(claim, kind, error, time.perf_counter() - started), None


def _failed(claim: Claim, kind: str, error: Exception, seconds: float) -> Evidence:
    detail = claims_files.explain(error, claims_files.Source(file=registry.home(claim.paper)), claim.origin)
    return Evidence(kind, "none", "failed", "none", seconds, detail)


def _despite_errors(claim: Claim, judge: Callable[[], Standing]) -> Standing:
    """Where a claim stands; one of the user's that cannot even be read is open, and keeps no other from its verdict."""
    if not registry.is_own(claim.paper):
        return judge()
    try:
        return judge()
    except StoreError:
        raise
    except Exception as error:
        return Standing(claim.id, Verdict.OPEN, claim.recorded, (_failed(claim, "proof", error, 0.0),))


def _keep(store: Store | None, record: Record) -> None:
    if store is not None and record.evidence.outcome not in ("failed", "unavailable"):
        store.put(record)


def _stored_proof(
    claim: Claim, store: Store | None, seed: int
) -> tuple[Evidence, Mapping[str, Any], checker.Report] | tuple[None, None, None]:
    """A stored proof counts only if its certificate is accepted now."""
    record = store.get(_key(claim, "proof", seed, 0)) if store is not None else None
    if record is None or record.evidence.outcome not in ("accepted", "partial") or record.certificate is None:
        return None, None, None
    try:
        report = accept(claim, record.certificate)
    except checker.Rejected:
        return None, None, None
    return _accepted(claim, report, record.evidence.seconds), record.certificate, report


def _stored_simulation(claim: Claim, store: Store | None, seed: int, budget: int) -> Evidence | None:
    """A stored simulation says what a simulation can say, whatever its record says."""
    record = store.get(_key(claim, "property", seed, budget)) if store is not None else None
    if record is None or (record.evidence.kind, record.certificate) != ("property", None):
        return None
    return record.evidence if record.evidence.outcome in ("agree", "diverge", "undecided") else None


def _stored_runs(
    claim: Claim, store: Store | None, seed: int, budget: int
) -> tuple[Evidence, Mapping[str, Any]] | tuple[None, None]:
    """Stored numbers are judged anew, whatever their record says of them."""
    record = store.get(_key(claim, "runs", seed, budget)) if store is not None else None
    if record is None or record.certificate is None:
        return None, None
    numbers = record.certificate.get("numbers")
    return (judged(claim, numbers, record.evidence.seconds), numbers) if isinstance(numbers, dict) else (None, None)


def _standing_by_runs(claim: Claim, store: Store | None, seed: int, started: float) -> Standing:
    """By the most extensive runs on disk; those that were shipped are the full ones."""
    pieces = [_stored_runs(claim, store, seed, BUDGETS["full"])[0]]
    shipped = shipped_runs(claim.id, claim.hash)
    if pieces[0] is None and shipped is not None:
        pieces = [judged(claim, shipped, float(shipped.get("seconds", 0.0)))]
    if pieces[0] is None:
        pieces = [_stored_runs(claim, store, seed, BUDGETS["quick"])[0]]
    found = tuple(piece for piece in pieces if piece is not None)
    return Standing(claim.id, verdict_of(found), claim.recorded, found, seconds=time.perf_counter() - started)


def _standing(
    claim: Claim,
    pieces: Iterable[Evidence],
    certificate: Mapping[str, Any] | None,
    report: checker.Report | None,
    seconds: float,
) -> Standing:
    """``report`` is the checker's on this certificate, if it was just replayed."""
    evidence = tuple(pieces)
    accepted = any(piece.outcome in ("accepted", "partial") for piece in evidence)
    if certificate is None or not accepted:
        return Standing(claim.id, verdict_of(evidence), claim.recorded, evidence, seconds=seconds)
    report = report or checker.check(certificate)
    return Standing(claim.id, verdict_of(evidence), claim.recorded, evidence, certificate, report, seconds)


def standing(claim: Claim, store: Store | None = None, seed: int = 0) -> Standing:
    """Where a claim stands by what is on disk: the store, else the shipped certificate.

    Nothing is computed, but that the counterexample to a claim recorded as refuted is evaluated again, and that the
    numbers of the runs behind an empirical claim are judged again.
    """
    return _despite_errors(claim, lambda: _standing_on_disk(claim, store, seed))


def _standing_on_disk(claim: Claim, store: Store | None, seed: int) -> Standing:
    started = time.perf_counter()
    if claim.runs is not None:
        return _standing_by_runs(claim, store, seed, started)
    proof, certificate, report = _stored_proof(claim, store, seed)
    pieces = [] if proof is None else [proof]
    if proof is None:
        shipped = shipped_certificate(claim.id)
        if shipped is not None:
            try:
                report = accept(claim, shipped)
                pieces.append(_accepted(claim, report, time.perf_counter() - started))
                certificate = shipped
            except checker.Rejected as error:
                pieces.append(Evidence("proof", "checker", "undecided", "none", 0.0, f"shipped certificate: {error}"))
    if claim.recorded is Verdict.REFUTED:
        found, _ = _refuted(claim, seed, started)
        pieces += [] if found is None else [found]
    for budget in sorted(BUDGETS.values(), reverse=True):
        piece = _stored_simulation(claim, store, seed, budget)
        if piece is not None:
            pieces.append(piece)
            break
    return _standing(claim, pieces, certificate, report, time.perf_counter() - started)


# --------------------------------------------------------------------------------------------------- many claims


def _work(arguments: tuple[str, Path | None, int, int]) -> Standing:
    name, folder, budget, seed = arguments
    return verify_claim(registry.find(name), None if folder is None else Store(folder), budget, seed)


def verify(
    ids: Iterable[str] | None = None,
    *,
    full: bool = False,
    seed: int = 0,
    jobs: int = 1,
    store: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> Iterator[Standing]:
    """Verify claims (all by default), yielding each as it is finished.

    ``store`` is a folder for evidence, ``None`` to keep none; ``progress`` is called with the id of each claim when
    it is finished. With ``jobs`` > 1 claims are spread over processes.

    Examples:
        >>> [result] = verify(["han2022/total-covariance"])
        >>> str(result.verdict)
        'proved'
    """
    names = [registry.find(name).id for name in ids] if ids is not None else list(registry.claims())
    if store is not None:
        Store(store).require_writable()
    budget = BUDGETS["full" if full else "quick"]
    tasks = [(name, store, budget, seed) for name in names]
    for result in spread(_work, tasks, jobs):
        if progress is not None:
            progress(result.claim)
        yield result


Task = TypeVar("Task")
Found = TypeVar("Found")


class WorkerEnded(Exception):
    """A worker process ended before its work, as when memory runs out; what it had not finished is undecided."""


def spread(work: Callable[[Task], Found], tasks: Sequence[Task], jobs: int, called: str = "claims") -> Iterator[Found]:
    """The results of tasks in their order, one process doing all or several sharing them.

    Raises:
        WorkerEnded: after all results that there are.
    """
    if jobs <= 1 or len(tasks) <= 1:
        yield from map(work, tasks)
        return
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    missing = 0
    with ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(work, task) for task in tasks]
        try:
            for future in futures:
                try:
                    result = future.result()
                except BrokenProcessPool:
                    missing += 1
                else:
                    yield result
        finally:
            for future in futures:
                future.cancel()
    if missing:
        raise WorkerEnded(f"a worker process ended; {missing} of {len(tasks)} {called} are undecided")


@dataclass(frozen=True)
class Recheck:
    """Shipped certificates replayed by the checker alone."""

    accepted: tuple[str, ...]
    problems: tuple[str, ...]
    seconds: float


def recheck(ids: Iterable[str] | None = None, folder: Path | None = None) -> Recheck:
    """Replay the shipped certificate of every claim; a claim recorded as proved must have one that is accepted.

    ``folder`` holds the certificates, if not the package, or for claims of one's own the folder beside their file.
    """
    started = time.perf_counter()
    collecting = gc.isenabled()
    gc.disable()  # a certificate is many small tuples without cycles: the collector would look at them in vain
    try:
        accepted, problems = _replayed(ids if ids is not None else registry.claims(), folder)
    finally:
        if collecting:
            gc.enable()
    return Recheck(tuple(accepted), tuple(problems), time.perf_counter() - started)


def _replayed(ids: Iterable[str], folder: Path | None) -> tuple[list[str], list[str]]:
    accepted: list[str] = []
    problems: list[str] = []
    for name in ids:
        claim = registry.find(name)
        if claim.runs is not None:
            problems += _problems_of_runs(claim, folder)
            continue
        certificate = shipped_certificate(name, folder)
        if certificate is None:
            if claim.recorded is Verdict.PROVED:
                problems.append(f"{name}: recorded as proved, but no certificate is shipped")
            continue
        try:
            accept(claim, certificate)
            accepted.append(name)
        except checker.Rejected as error:
            problems.append(f"{name}: {error}")
    return accepted, problems


def _problems_of_runs(claim: Claim, folder: Path | None) -> list[str]:
    """A recorded verdict must follow from the numbers that are shipped."""
    shipped = shipped_runs(claim.id, claim.hash, folder)
    if shipped is None:
        return [f"{claim.id}: recorded as {claim.recorded}, but no runs are shipped"]
    found = verdict_of([judged(claim, shipped, 0.0)])
    return [] if found is claim.recorded else [f"{claim.id}: recorded as {claim.recorded}, but its runs say {found}"]


__all__ = [
    "Recheck",
    "Standing",
    "StoreError",
    "WorkerEnded",
    "accept",
    "prove",
    "recheck",
    "simulate",
    "standing",
    "verify",
]
