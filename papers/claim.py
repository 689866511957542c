"""Claims: what a paper says, on which domain, with its derivation and its simulation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import sympy as sp

from ..theory.derivation import Derivation, Setting
from ..theory.printing import latex
from ..theory.proof.certificate import content_hash
from ..theory.proof.checker import Range
from ..theory.proof.statement import Statement
from . import prose
from .domain import Domain
from .evidence import Comparison, Kind, Outcome, Verdict
from .prediction import Prediction

if TYPE_CHECKING:
    from .experiments import Experiment

Numerics = Callable[[Mapping[str, Any], int], Comparison]


class Theorem(Protocol):
    """What a module of theory states: a statement, and the setting in which it holds, for the ranges of parameters."""

    @property
    def statement(self) -> Statement: ...

    def setting(self, parameters: Mapping[sp.Symbol, Range], /) -> Setting: ...


T = TypeVar("T", bound=Theorem)


@dataclass(frozen=True)
class Paper:
    """A paper: its key (module name, prefix of claim ids, BibTeX key), its BibTeX entry, its claims in order.

    ``experiments`` are those that its module defines itself, beside the ones with a module of their own.
    """

    key: str
    title: str
    bibtex: str
    claims: tuple[Claim, ...]
    experiments: tuple[Experiment, ...] = ()

    def __post_init__(self) -> None:
        foreign = [claim.id for claim in self.claims if claim.paper != self.key]
        if foreign:
            raise ValueError(f"the claim {foreign[0]} does not belong to {self.key}")
        first: dict[str, Claim] = {}
        for claim in self.claims:
            if claim.id in first:
                places = [place for each in (first[claim.id], claim) if (place := each.origin)]
                raise ValueError(f"two claims have the id {claim.id}" + (f": {' and '.join(places)}" if places else ""))
            first[claim.id] = claim


@dataclass(frozen=True)
class Runs:
    """The runs that an empirical claim rests on: an experiment, its inputs, and what its numbers say about the claim.

    ``judge`` sees the numbers alone, so that a verdict follows from what is stored. ``quick`` inputs take seconds,
    ``full`` ones minutes; the latter are shipped.
    """

    experiment: str
    quick: Mapping[str, Any]
    full: Mapping[str, Any]
    judge: Callable[[Mapping[str, Any]], Outcome]


@dataclass(frozen=True)
class Claim:
    """One claim. ``id`` is ``paper/slug`` and permanent; ``locator`` is ``None`` where it is not known.

    ``statement`` may use the abbreviations of ``setting.definitions``; written out, it is what the derivation must
    reach; ``derive()`` builds the derivation. ``numerics(values, seed)`` simulates one example of the domain.
    ``recorded`` is the verdict that the claim had when it was committed. ``sharpens`` names the claim that this one
    generalises, ``corrects`` the one that it replaces; both are links from a claim of our own. ``lemmas`` are theorems
    of the literature that one needs to read the statement as the title says it. ``beyond`` names the parts of the claim
    that the statement leaves to simulation: with it a proof covers a part only. ``predict`` evaluates its closed form.
    ``runs`` are the evidence for an empirical claim, which no proof can settle, and no other claim has them.
    """

    id: str
    title: str
    kind: Kind
    statement: Statement
    setting: Setting
    domain: Domain
    derive: Callable[[], Derivation] | None = None
    numerics: Numerics | None = None
    recorded: Verdict = Verdict.OPEN
    version: str | None = None
    locator: str | None = None
    sharpens: str | None = None
    corrects: str | None = None
    notes: str = field(default="")
    lemmas: tuple[str, ...] = ()
    beyond: str = ""
    predict: Prediction | None = None
    runs: Runs | None = None
    depends: tuple[str, ...] = ()
    origin: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        paper, _, slug = self.id.partition("/")
        if not paper or not slug or "/" in slug:
            raise ValueError(f"a claim id has the form paper/slug, not {self.id!r}")
        if dict(self.domain.ranges) != dict(self.setting.parameters):
            raise ValueError(f"{self.id}: the domain and the setting of the proof give different ranges")
        if (self.runs is not None) != (self.kind is Kind.EMPIRICAL) or (self.runs and (self.derive or self.numerics)):
            raise ValueError(
                f"{self.id}: an empirical claim rests on runs, and on nothing else; other claims have none"
            )

    @property
    def paper(self) -> str:
        return self.id.partition("/")[0]

    @property
    def slug(self) -> str:
        return self.id.partition("/")[2]

    @cached_property
    def derivation(self) -> Derivation | None:
        """The derivation, built when first asked for (its matrix expressions take sympy a while)."""
        return None if self.derive is None else self.derive()

    @cached_property
    def normal_form(self) -> dict[str, Any]:
        """Statement and hypotheses as the checker sees them; a certificate of the claim must contain exactly this."""
        return self.setting.normal_form(self.statement)

    @cached_property
    def hash(self) -> str:
        """The content hash of the normal form."""
        return content_hash(self.normal_form)

    @cached_property
    def symbols(self) -> tuple[Any, ...]:
        """Scalars, matrices, and the sizes of matrices, in statement, definitions and hypotheses, in a fixed order."""
        definitions = self.setting.definitions
        written = [*self.statement.expressions(), *definitions, *definitions.values()]
        written += [expr for hypothesis in self.setting.hypotheses for expr in hypothesis.statement.expressions()]
        found = set[Any](parameter.symbol for parameter in self.domain.parameters)
        for expr in written:
            matrices = expr.atoms(sp.MatrixSymbol)
            sizes = set[Any]().union(*(size.free_symbols for matrix in matrices for size in matrix.shape))
            found |= matrices | sizes | {symbol for symbol in expr.free_symbols if isinstance(symbol, sp.Symbol)}
        return tuple(sorted(found, key=lambda symbol: (latex(symbol), str(symbol))))

    @cached_property
    def names(self) -> dict[str, str]:
        """The symbols by the names that they have in sentences, with their LaTeX."""
        return prose.names([*self.setting.definitions, *self.symbols])

    def compare(self, values: Mapping[str, Any], seed: int = 0) -> Comparison:
        """Simulate one example of the domain and put it beside what theory says.

        Raises:
            ValueError: if the values are not in the domain, or the claim has no simulation.
        """
        self.domain.require(values)
        if self.numerics is None:
            raise ValueError(f"{self.id} has no simulation")
        return self.numerics(values, seed)

    def statement_latex(self) -> str:
        return self.statement.latex()

    def definitions_latex(self) -> tuple[str, ...]:
        """The abbreviations, each as an equation, in the order of their definition."""
        return tuple(f"{latex(name)} = {latex(meaning)}" for name, meaning in self.setting.definitions.items())

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.statement_latex()}$"

    def _repr_html_(self) -> str:
        pieces = prose.pieces(self.title, self.names)
        title = "".join(rf"\({escape(p.text)}\)" if p.formula else escape(p.text) for p in pieces)
        return f"<p><b>{escape(self.id)}</b> {title}</p><p>\\({escape(self.statement_latex())}\\)</p>"


def stated(
    id: str,
    title: str,
    theorem: T,
    domain: Domain,
    derive: Callable[[T, Setting], Derivation],
    numerics: Numerics | None = None,
    *,
    kind: Kind = Kind.IDENTITY,
    **more: Any,
) -> Claim:
    """The claim of a theorem of theory, whose setting has the ranges of the domain; ``more`` as of :class:`Claim`."""
    setting = theorem.setting(domain.ranges)
    return Claim(
        id, title, kind, theorem.statement, setting, domain, lambda: derive(theorem, setting), numerics, **more
    )
