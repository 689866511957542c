"""The search for a counterexample to a claim: in exact numbers, or what was searched and not found.

Five ways, one after the other, each for a share of the time: small exact examples; models modulo a prime, of equations;
values at and near the ends of ranges and near each other; hypothesis, which is told the residual; gradient ascent on
the violation, many starts at once. A counterexample counts only when it is exact: in rational arithmetic (of exp and
log, in balls that exclude the claim) every hypothesis holds and the claim fails. It is then made as small as possible.
"""

from __future__ import annotations

import json
import random
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import sympy as sp

from ...theory.proof import checker
from ...theory.proof.certificate import Values, complete_model
from ...theory.proof.refuter import fails_in, is_example
from ...theory.proof.translation import Untranslatable
from .. import registry
from ..claim import Claim
from ..evidence import Verdict
from ..prediction import exact
from .outside import in_range
from .sampling import NoExample, Sampler

PRIME = 2**31 - 1
SHARES = {"small": 0.2, "modular": 0.15, "near": 0.15, "targeted": 0.25, "ascent": 0.25}
FAR = tuple(Fraction(x) for x in ("1/1000", "1/100", "1/2", "1", "2", "10", "100", "1000", "1000000", "1000000000"))
ROUNDS = 40  # of changes in the search for a smaller counterexample


@dataclass(frozen=True)
class Way:
    """One way of searching: how many examples of the hypotheses it tried, and for how long; or why it did not apply."""

    name: str
    tried: int
    seconds: float
    note: str = ""

    def said(self) -> str:
        return f"{self.name}: {self.note or f'{self.tried} examples'} ({self.seconds:.1f} s)"


@dataclass(frozen=True)
class Refutation:
    """What a search found: ``witness`` has the exact values of all symbols, or is ``None``."""

    claim: str
    target: str
    witness: Mapping[str, Any] | None
    found_by: str = ""
    rest: str = ""
    ways: tuple[Way, ...] = ()
    recorded: Verdict = Verdict.OPEN
    replayed: bool = False

    @property
    def tried(self) -> int:
        return sum(way.tried for way in self.ways)

    @property
    def exit_code(self) -> int:
        """1 if the claim is refuted, unless that is recorded; 3 if nothing could be tried."""
        if self.witness is not None:
            return 0 if self.recorded is Verdict.REFUTED else 1
        return 0 if self.tried or self.replayed else 3

    def command(self, file: Path | None = None) -> str:
        """What evaluates the claim in the witness again."""
        at = str(file) if file is not None else json.dumps((self.witness or {}).get("values"), separators=(",", ":"))
        return f"tightframe refute {shlex.quote(self.target)} --at {shlex.quote(at)}"

    def json(self, file: Path | None = None) -> dict[str, Any]:
        data = {"claim": self.claim, "refuted": self.witness is not None, "witness": self.witness, "by": self.found_by}
        data |= {"residual": self.rest, "replay": self.command(file) if self.witness is not None else None}
        ways = [{"way": w.name, "examples": w.tried, "seconds": w.seconds, "note": w.note} for w in self.ways]
        return data | {"searched": ways}

    def plain(self, file: Path | None = None) -> str:
        if self.witness is None and self.replayed:
            return f"{self.claim} holds there"
        searched = [f"  {way.said()}" for way in self.ways]
        if self.witness is None:
            if not self.tried:
                return "\n".join([f"{self.claim}: nothing could be tried", *searched])
            return "\n".join([f"{self.claim}: no counterexample found; that proves nothing. Searched:", *searched])
        values = [f"  {name} = {shown(value)}" for name, value in self.witness["values"].items()]
        rest = [f"  {self.rest}"] if self.rest else []
        by = f", found by {self.found_by}" if self.found_by else ""
        lines = [f"{self.claim} is false{by}, where", *values, *rest]
        return "\n".join([*lines, f"  again: {self.command(file)}"])


def shown(value: Any) -> str:
    """A number, or a matrix in one line."""
    return value if isinstance(value, str) else "[" + ", ".join("[" + ", ".join(row) + "]" for row in value) + "]"


@dataclass
class Trial:
    """A claim ready to be evaluated in exact examples."""

    claim: Claim
    tried: int = 0
    end: float = 0.0
    share: float = 0.0
    best: dict[Any, Any] | None = None
    symbols: dict[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        setting = self.claim.setting
        self.translation, _ = setting.translation()
        self.hypotheses = [self.translation.statement(each.statement) for each in setting.hypotheses]
        self.goal = self.translation.statement(self.claim.statement)
        self.symbols = {getattr(symbol, "name", str(symbol)): symbol for symbol in self.claim.symbols}

    def begin(self, seconds: float | None = None) -> None:
        """Allow some time from now on, or, when something was loaded first, as much as before."""
        self.share = self.share if seconds is None else seconds
        self.end = time.perf_counter() + self.share

    @property
    def late(self) -> bool:
        return time.perf_counter() > self.end

    def fails(self, values: Values) -> bool:
        """Whether the claim certainly fails in an example of its hypotheses."""
        if not in_range(self.claim.setting, values) or not self.conditions(values):
            return False
        model = complete_model(self.translation, values)
        if model is None:
            return False
        try:
            if not is_example(self.translation, self.hypotheses, model):
                return False
        except checker.Rejected:
            return False
        self.tried += 1
        return fails_in(self.goal, self.translation, model)

    def conditions(self, values: Values) -> bool:
        sizes = {symbol: sp.Rational(str(value)) for symbol, value in values.items() if not isinstance(value, list)}
        told = [condition.subs(sizes) for condition in self.claim.domain.conditions]
        return all(each in (True, sp.true) for each in told)

    def take(self, values: Values) -> bool:
        """Keep it if it is a counterexample."""
        if not self.fails(values):
            return False
        if self.best is None or size(values) < size(self.best):
            self.best = dict(values)
        return True

    def fitted(self, rng: random.Random, values: Mapping[Any, Any]) -> Values | None:
        """The values changed so that equations among the hypotheses hold, where the claim's own sampler can do that."""
        sampler = self.claim.setting.sample
        return sampler.fitted(rng, dict(values)) if isinstance(sampler, Sampler) else values

    def residual(self, values: Values) -> str:
        """What is left of an equation or an inequality."""
        model = complete_model(self.translation, values)
        goal = self.goal
        if model is None or goal.kind not in ("zero", "positive", "nonnegative"):
            return ""
        rows = self.translation.algebra.evaluate(goal.target, model)
        if goal.kind != "zero":
            return f"{'positive' if goal.kind == 'positive' else 'nonnegative'} is said of {rows[0][0]}"
        text = str(rows[0][0]) if goal.target.shape is None else shown([[str(x) for x in row] for row in rows])
        return f"left minus right is {text}"


def size(values: Values) -> tuple[int, int, int]:
    """How large an example is: entries, entries that are not zero, and digits of numbers."""
    numbers = [Fraction(x) for value in values.values() for x in entries(value)]
    digits = sum(abs(x.numerator).bit_length() + x.denominator.bit_length() + (x < 0) for x in numbers)
    return len(numbers), sum(x != 0 for x in numbers), digits


def entries(value: Any) -> Iterator[Any]:
    yield from (x for row in value for x in row) if isinstance(value, list) else (value,)


def refute(claim: Claim | str, *, seconds: float = 30.0, seed: int = 0) -> Refutation:
    """Search for a counterexample to a claim: an id, ``FILE.py::slug``, or what a draft returned.

    Raises:
        UnknownName: if there is no such claim.

    Examples:
        >>> from tightframe.papers.draft import Draft, Equal, trace
        >>> paper = Draft("me2027", "Slips")
        >>> n = paper.integer("n")
        >>> A, B = paper.matrix("A", n, n), paper.matrix("B", n, n)
        >>> slip = paper.claim("product", "The trace of a product", Equal(trace(A * B), trace(A) * trace(B)))
        >>> refute(slip).witness["values"]["n"]
        '2'
    """
    found = registry.find(claim) if isinstance(claim, str) else claim
    target = claim if isinstance(claim, str) else found.id
    trial = Trial(found)
    ways: list[Way] = []
    searches: tuple[tuple[str, str, Callable[[Trial, random.Random], str | None]], ...] = (
        ("small", "small exact examples", small),
        ("modular", "models modulo a prime", modular),
        ("near", "values at and near ends and each other", near),
        ("targeted", "hypothesis, told the residual", targeted),
        ("ascent", "gradient ascent on the violation", ascent),
    )
    for key, name, search in searches:
        started, before = time.perf_counter(), trial.tried
        trial.begin(SHARES[key] * seconds)
        try:
            note = search(trial, random.Random(seed)) or ""
        except (NoExample, Untranslatable) as error:
            note = str(error)
        ways.append(Way(name, trial.tried - before, time.perf_counter() - started, note))
        if trial.best is not None:
            shrink(trial, seed)
            witness = {"claim": found.id, "hash": found.hash, "values": as_texts(trial, trial.best)}
            return Refutation(found.id, target, witness, name, trial.residual(trial.best), tuple(ways), found.recorded)
    return Refutation(found.id, target, None, ways=tuple(ways), recorded=found.recorded)


def as_texts(trial: Trial, values: Values) -> dict[str, Any]:
    """Exact values of the symbols of a claim, as JSON."""
    named = {getattr(symbol, "name", str(symbol)): value for symbol, value in values.items()}
    return {
        name: [[str(x) for x in row] for row in value] if isinstance(value, list) else str(value)
        for name, value in named.items()
        if name in trial.symbols
    } | {name: str(value) for name, value in named.items() if name not in trial.symbols and not isinstance(value, list)}


def replay(claim: str, witness: Path | str) -> Refutation:
    """Evaluate a claim in a witness: JSON as ``refute`` prints or writes it, or the name of a file with it.

    Raises:
        ValueError: in one line, if it is no example of the hypotheses of the claim.
    """
    found = registry.find(claim)
    data = _read(witness)
    trial = Trial(found)
    named: dict[str, Any] = {}
    try:
        for name, value in data.items():
            named[name] = [[exact(x) for x in row] for row in value] if isinstance(value, list) else exact(value)
    except (ValueError, TypeError) as error:
        raise ValueError(f"the witness gives no exact number: {error}") from None
    missing = [name for name in trial.symbols if name not in named and not _derived(trial, name)]
    if missing:
        raise ValueError(f"the witness has no value for {missing[0]}; needed: {', '.join(trial.symbols)}")
    values = {trial.symbols.get(name, sp.Symbol(name)): value for name, value in named.items()}
    try:
        false = trial.fails(values)
    except (IndexError, KeyError, ZeroDivisionError):
        false, trial.tried = False, 0
    if not trial.tried:
        raise ValueError(
            "the witness is no example of the hypotheses: a range, a size, a condition or a hypothesis fails"
        )
    whole = {"claim": found.id, "hash": found.hash, "values": as_texts(trial, values)} if false else None
    rest = trial.residual(values) if false else ""
    return Refutation(found.id, claim, whole, "", rest, (), found.recorded, replayed=True)


def _derived(trial: Trial, name: str) -> bool:
    """Whether a symbol has no value of its own: abbreviations."""
    return trial.symbols[name] in trial.claim.setting.definitions


def _read(witness: Path | str) -> dict[str, Any]:
    text = str(witness)
    if not text.lstrip().startswith("{"):
        try:
            text = Path(text).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8"
            raise ValueError(f"cannot read the witness {witness} ({reason})") from None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("the witness is not JSON") from None
    data = data.get("values", data) if isinstance(data, dict) else data
    if not isinstance(data, dict):
        raise ValueError('the witness is no JSON object such as {"n": "2"}')
    return data


# ---------------------------------------------------------------------------------------------------------- the ways


def small(trial: Trial, rng: random.Random) -> str | None:
    """Examples as the claim draws them, until one is a counterexample."""
    while not trial.late:
        if trial.take(trial.claim.setting.sample(rng)):
            return None
    return None


def modular(trial: Trial, rng: random.Random) -> str | None:
    """Random large residues modulo a prime: an equation that fails modulo the prime fails for these integers.

    They reach where small numbers cancel by accident, and are quickly evaluated.
    """
    from .residues import vanishes

    sampler = trial.claim.setting.sample
    if trial.goal.kind != "zero":
        return "not for what is no equation"
    if trial.hypotheses and not isinstance(sampler, Sampler):
        return "not with hypotheses that only the claim's own examples satisfy"
    integers = {s for s, bounds in trial.claim.setting.parameters.items() if bounds.integer}
    while not trial.late:
        drawn = sampler(rng)
        large = {
            symbol: value if symbol in integers else _replaced(value, lambda x: Fraction(rng.randrange(1, PRIME)))
            for symbol, value in drawn.items()
        }
        values = trial.fitted(rng, large) if trial.hypotheses else large
        if values is None:
            continue
        told = vanishes(trial.translation, trial.goal.target, values, PRIME)
        if told is None:
            continue
        trial.tried += told
        if not told and trial.take(values):
            return None
    return None


def _replaced(value: Any, new: Callable[[Any], Fraction]) -> Any:
    return [[new(x) for x in row] for row in value] if isinstance(value, list) else new(value)


def near(trial: Trial, rng: random.Random) -> str | None:
    """Scalars at and near the ends of their ranges, far out, and near each other; matrices of zeros, ones and units."""
    parameters = trial.claim.setting.parameters
    reals = [symbol for symbol, bounds in parameters.items() if not bounds.integer]
    while not trial.late:
        drawn = dict(trial.claim.setting.sample(rng))
        for changed in _near(drawn, reals, parameters, rng):
            values = trial.fitted(rng, changed)
            if values is not None and trial.take(values):
                return None
            if trial.late:
                break
    return None


def _near(
    drawn: dict[Any, Any], reals: list[Any], parameters: Mapping[Any, Any], rng: random.Random
) -> Iterator[dict[Any, Any]]:
    for symbol in reals:
        if symbol not in drawn:
            continue
        low = parameters[symbol].low
        others = [Fraction(drawn[other]) for other in reals if other != symbol and other in drawn]
        steps = [Fraction(0), *FAR] if low is not None else [sign * x for x in (Fraction(0), *FAR) for sign in (1, -1)]
        candidates = [(low or 0) + x for x in steps]
        candidates += [factor * x for x in others for factor in (1, Fraction(99, 100), Fraction(101, 100))]
        for value in candidates:
            yield {**drawn, symbol: value}
    for _ in range(len(reals)):  # several at once
        chosen = {s: (parameters[s].low or 0) + rng.choice(FAR) for s in reals if s in drawn and rng.random() < 0.6}
        yield {**drawn, **chosen}
    for symbol, value in drawn.items():
        if isinstance(value, list):
            for entry in (lambda i, j: 0, lambda i, j: 1, lambda i, j: int(i == j), lambda i, j: int(i == j == 0)):
                yield {
                    **drawn,
                    symbol: [[Fraction(entry(i, j)) for j in range(len(row))] for i, row in enumerate(value)],
                }


def targeted(trial: Trial, rng: random.Random) -> str | None:
    """Hypothesis draws what the sampler draws at random, and climbs where the residual is large."""
    from .targeting import search

    return search(trial, rng.randrange(2**31))


def ascent(trial: Trial, rng: random.Random) -> str | None:
    """Gradient ascent on the violation in torch, made exact by rounding to fractions."""
    from .ascent import search

    return search(trial, rng)


# --------------------------------------------------------------------------------------------------------- smallness


def shrink(trial: Trial, seed: int) -> None:
    """Replace a counterexample by smaller ones: smaller sizes, simpler numbers."""
    rng = random.Random(seed)
    end = time.perf_counter() + 5.0
    tried = trial.tried
    sample = trial.claim.setting.sample
    for _ in range(ROUNDS):
        if time.perf_counter() > end:
            break
        trial.take(sample(rng))  # of smaller sizes, by chance
    for _ in range(ROUNDS):
        best = trial.best
        assert best is not None
        if time.perf_counter() > end or not any(
            size(other) < size(best) and trial.take(other) for other in _simpler(trial, best, rng)
        ):
            break
    trial.tried = tried


def _simpler(trial: Trial, values: Mapping[Any, Any], rng: random.Random) -> Iterator[Values]:
    """One number made simpler."""
    integers = {s for s, bounds in trial.claim.setting.parameters.items() if bounds.integer}
    for symbol, value in values.items():
        if symbol in integers:
            continue
        for place, number in enumerate(map(Fraction, entries(value))):
            simple = (Fraction(0), Fraction(1), Fraction(-1), Fraction(round(number)), number.limit_denominator(8))
            for new in dict.fromkeys(simple):
                if new != number:
                    changed = {**values, symbol: _with_entry(value, place, new)}
                    found = trial.fitted(rng, changed) if trial.hypotheses else changed
                    if found is not None:
                        yield found


def _with_entry(value: Any, place: int, new: Fraction) -> Any:
    if not isinstance(value, list):
        return new
    width = len(value[0])
    return [[new if i * width + j == place else x for j, x in enumerate(row)] for i, row in enumerate(value)]


__all__ = ["Refutation", "Way", "refute", "replay"]
