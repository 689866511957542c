"""``pytest --tightframe FILE.py``: the claims of a file as tests, one for each claim and kind, in anybody's repository.

- ``property``: simulation beside theory, on examples of the domain that hypothesis draws and shrinks;
- ``recheck``: the certificate beside the file is replayed by the independent checker, or one is searched;
- ``mutants``: the claim changed in one token at every place; none may survive.

Nothing is imported and nothing collected unless the option is given. The file that it names is run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .claim import Claim

ENVIRONMENT = "TIGHTFRAME_CLAIMS"
KINDS = ("recheck", "property", "mutants")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tightframe", "claims of a paper, verified by tightframe")
    group.addoption(
        "--tightframe",
        action="append",
        default=[],
        metavar="FILE",
        help="also test the claims of this Python file, which is run (repeatable)",
    )
    group.addoption(
        "--tightframe-examples", type=int, default=20, metavar="N", help="simulated examples a claim (default: 20)"
    )
    group.addoption(
        "--tightframe-every", type=int, default=1, metavar="N", help="try one of N mutants (default: 1, all of them)"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "tightframe: a claim of a file given with --tightframe")


@pytest.hookimpl(tryfirst=True)  # before -k and -m select
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    files: Sequence[str] = config.getoption("--tightframe")
    if not files:
        return
    before = os.environ.get(ENVIRONMENT)
    config.add_cleanup(lambda: _restore(before))
    for name in dict.fromkeys(files):
        path = (config.invocation_params.dir / name).absolute()
        items.extend(ClaimsFile.from_parent(session, path=path).items(name))


def _restore(before: str | None) -> None:
    if before is None:
        os.environ.pop(ENVIRONMENT, None)
    else:
        os.environ[ENVIRONMENT] = before


class ClaimsFile(pytest.File):
    """A claims file, with the tests of its claims; of one that cannot be used, a test that fails and says why."""

    def collect(self) -> Iterator[pytest.Item]:
        yield from self.items(self.path.name)

    def items(self, name: str) -> Iterator[pytest.Item]:
        from . import claims_files

        try:
            claims = _claims(self.path)
        except claims_files.ClaimsFileError as error:
            yield Test.of(self, "import", _failing(str(error)))
            return
        options = self.config.getoption
        for claim in claims:
            for kind in KINDS:
                if (kind == "property" and claim.numerics is None) or (kind == "mutants" and claim.derive is None):
                    continue
                yield Test.of(self, f"{claim.slug}::{kind}", _test(claim, kind, options))


class Test(pytest.Item):
    """One claim and kind."""

    __test__ = False  # no class of tests, whatever its name
    run: Callable[[], None]

    @classmethod
    def of(cls, parent: ClaimsFile, name: str, run: Callable[[], None]) -> Test:
        found: Test = cls.from_parent(parent, name=name)
        found.run = run
        found.add_marker("tightframe")
        return found

    def runtest(self) -> None:
        self.run()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, Finding):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, self.name


class Finding(Exception):
    """A test that fails, in a line."""


def _failing(message: str) -> Callable[[], None]:
    def run() -> None:
        raise Finding(message)

    return run


def _claims(path: Path) -> Sequence[Claim]:
    """The claims of a file.

    Raises:
        ClaimsFileError: if it cannot be used.
    """
    from . import registry

    return registry.file_claims(path)


def _test(claim: Claim, kind: str, options: Callable[[str], Any]) -> Callable[[], None]:
    def run() -> None:
        if kind == "property":
            _property(claim, options("--tightframe-examples"))
        elif kind == "recheck":
            _recheck(claim)
        else:
            _mutants(claim, options("--tightframe-every"))

    return run


def _place(claim: Claim) -> str:
    from . import claims_files

    return f"{claims_files.shown_place(claim.origin)}: {claim.id}" if claim.origin else claim.id


def _property(claim: Claim, examples: int) -> None:
    """Theory agrees with simulation; of what does not converge, nothing is learned."""
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

    from .evidence import holds_in

    converged = [0, 0]
    wrong: list[str] = []

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(claim.domain.strategy(), st.integers(0, 2**31 - 1))
    def agrees(values: dict[str, Any], seed: int) -> None:
        comparison = claim.compare(values, seed)
        converged[comparison.converged] += 1
        if comparison.converged and not holds_in(claim.kind, comparison):
            shown = f"measured {_some(comparison.measured)}, theory says {_some(comparison.theoretical)}"
            wrong.append(f"at {values}, seed {seed}: {shown}, tolerance {comparison.tolerance:.1e}")
            raise AssertionError

    try:
        agrees()
    except AssertionError:
        if not wrong:
            raise
        raise Finding(f"{_place(claim)}: simulation and theory differ {wrong[-1]}") from None
    missed, seen = converged
    if seen < 0.9 * (missed + seen):
        raise Finding(f"{_place(claim)}: {missed} of {missed + seen} simulations did not converge")


def _some(values: Sequence[float]) -> str:
    text = ", ".join(f"{value:.6g}" for value in list(values)[:4])
    return f"[{text}{', ...' if len(values) > 4 else ''}]"


def _recheck(claim: Claim) -> None:
    """The stored certificate is accepted; without one, the claim stands where it is recorded."""
    from ..theory.proof import checker
    from .evidence import Verdict, verdict_of
    from .store import certificate_folder, shipped_certificate
    from .verification import accept, prove

    certificate = shipped_certificate(claim.id)
    if certificate is not None:
        try:
            accept(claim, certificate)
        except checker.Rejected as error:
            folder = certificate_folder(claim.id)
            raise Finding(
                f"{_place(claim)}: the certificate in {folder} is not accepted: {error}; "
                f"make it anew: tightframe verify {claim.id} --certificates {folder}"
            ) from None
        return
    evidence, _ = prove(claim)
    verdict = verdict_of([evidence])
    if verdict is Verdict.REFUTED and claim.recorded is not Verdict.REFUTED:
        raise Finding(f"{_place(claim)}: refuted: {evidence.detail}")
    if (
        claim.recorded in (Verdict.PROVED, Verdict.ATTESTED, Verdict.REFUTED)
        and verdict.strength < claim.recorded.strength
    ):
        raise Finding(f"{_place(claim)}: recorded as {claim.recorded}, but {verdict}: {evidence.detail}")
    if verdict is Verdict.OPEN:
        pytest.skip(f"not proved: {evidence.detail}")


def _mutants(claim: Claim, every: int) -> None:
    from .trials.mutants import Fate, tally

    (found,) = tally([claim.id], every=every)
    if found.problem:
        pytest.skip(f"no mutants: {found.problem}")
    survived = [f"{trial.change}: {trial.detail}" for trial in found.trials if trial.fate is Fate.SURVIVED]
    if survived:
        raise Finding(f"{_place(claim)}: {len(survived)} mutants survive: {survived[0]}")
    if found.too_many_open:
        pytest.skip(f"undecided: {found.count(Fate.OPEN)} of {len(found.trials)} mutants are open")
