"""The command line. Results alone go to stdout; progress, warnings and errors to stderr.

Exit codes: 0 as recorded, nothing found; 1 a finding; 2 wrong usage or input; 3 undecided. Everything heavy is
imported inside the handlers, so that ``--help`` starts at once.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

if TYPE_CHECKING:
    from .store import Store
    from .verification import Standing

app = typer.Typer(
    name="tightframe",
    help="Machine-checked theory of neural collapse: claims, derivations, evidence, citations.",
    no_args_is_help=False,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
store_app = typer.Typer(help="The evidence store.", rich_markup_mode=None)
app.add_typer(store_app, name="store")

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON.")]
NotationOption = Annotated[
    str | None, typer.Option("--notation", help="A paper's notation, or a TOML file.", metavar="NAME")
]
ClaimsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--claims",
        help="Use the claims of this Python file, which is run (repeatable); all claims are then those of the files.",
        metavar="FILE",
    ),
]
StoreOption = Annotated[Path | None, typer.Option("--store", help="Folder of the evidence store.", metavar="DIR")]


INTERRUPTED = 130  # what typer turns Ctrl-C into
CLAIMS = "TIGHTFRAME_CLAIMS"  # where `claims_files` finds them, in this process and those that it starts


class InputError(Exception):
    """Wrong input; the message is one line that says what was expected."""


def _store(folder: Path | None) -> Store:
    from .store import Store, default_folder

    return Store(folder if folder is not None else default_folder())


def _print_json(data: Any) -> None:
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))


def _print_table(grid: Any) -> None:
    from rich.console import Console

    terminal = sys.stdout.isatty()
    Console(width=None if terminal else 200, highlight=False).print(grid)


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Machine-checked theory of neural collapse: claims, derivations, evidence, citations."""
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"tightframe {installed('tightframe')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("list")
def list_claims(
    paper: Annotated[str | None, typer.Option(help="Only claims of this paper.", metavar="KEY")] = None,
    verdict: Annotated[str | None, typer.Option(help="Only claims with this verdict.", metavar="VERDICT")] = None,
    store: StoreOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List claims with their verdicts, from the evidence on disk."""
    from . import registry
    from .display import table
    from .evidence import Verdict
    from .verification import standing

    if verdict is not None and verdict not in tuple(Verdict):
        raise InputError(f"unknown verdict {verdict!r}; expected one of {', '.join(Verdict)}")
    known = registry.asked() if paper is None else {c.id: c for c in registry.paper(paper).claims}
    found = [standing(claim, _store(store)) for claim in known.values()]
    found = [result for result in found if verdict is None or result.verdict == verdict]
    if not as_json:
        _print_table(table(found, timed=False))
        return
    _print_json(
        [
            {
                "id": result.claim,
                "title": known[result.claim].title,
                "verdict": str(result.verdict),
                "conditional_on": list(result.conditional_on),
                "unchecked": list(result.unchecked),
                "assumptions": list(result.assumptions),
                "recorded": str(result.recorded),
            }
            for result in found
        ]
    )


@app.command()
def show(
    claim: Annotated[str, typer.Argument(help="The id of a claim, such as han2022/ls-decomposition.", metavar="ID")],
    store: StoreOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show a claim: statement, domain, hypotheses, evidence."""
    from .display import plain
    from .display import show as described

    data = described(claim, _store(store))
    if as_json:
        _print_json(data)
    else:
        typer.echo(plain(data, _has_unicode()))


def _has_unicode() -> bool:
    try:
        "ᵀ≥λ".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


@app.command()
def derive(
    claim: Annotated[
        str | None, typer.Argument(help="The id of a claim, such as han2022/ls-decomposition.", metavar="ID")
    ] = None,
    paper: Annotated[
        str | None, typer.Option(help="Instead: what was found of every claim of this paper.", metavar="KEY")
    ] = None,
    form: Annotated[
        str, typer.Option("--format", help="markdown, latex, typst, html or pdf.", metavar="FORMAT")
    ] = "markdown",
    inputs: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter of the claim.", metavar="NAME=VALUE")
    ] = None,
    notation: NotationOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file.", metavar="FILE")] = None,
    store: StoreOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Write the derivation of a claim, or what was found of a paper, as a document."""
    from .prediction import settings
    from .writing.documents import document, document_pdf
    from .writing.notation import load
    from .writing.summary import summary, summary_pdf

    if (claim is None) == (paper is None):
        raise InputError("expected the ID of a claim, or --paper KEY, and not both")
    if paper is not None and inputs:
        raise InputError("--set specialises one claim, not a paper")
    if paper is not None and notation is not None:
        raise InputError("--notation is for one claim, not for a paper")
    values = settings(inputs or ())
    letters = None if notation is None else load(notation)
    if form == "pdf":
        if as_json or (out is None and sys.stdout.isatty()):
            raise InputError("a PDF goes to a file: --out FILE, without --json")
        if paper is not None:
            found = summary_pdf(paper, _store(store))
        else:
            found = document_pdf(claim or "", _store(store), values, letters)
        _write(found, out)
        return
    if paper is not None:
        text = summary(paper, form, _store(store))
    else:
        text = document(claim or "", form, _store(store), values, letters)
    if as_json:
        about = {"paper": paper} if paper else {"claim": claim}
        text = json.dumps({**about, "format": form, "text": text}, indent=2, ensure_ascii=False) + "\n"
    _write(text, out)


@app.command()
def cite(
    ids: Annotated[list[str] | None, typer.Argument(help="Claims.", metavar="ID...")] = None,
    every: Annotated[bool, typer.Option("--all", help="All claims.")] = False,
    form: Annotated[
        str, typer.Option("--format", help="latex, typst, markdown, bibtex or json.", metavar="FORMAT")
    ] = "latex",
    notation: NotationOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write a file a claim there, and tightframe.sty.", metavar="DIR")
    ] = None,
    bib: Annotated[
        Path | None, typer.Option("--bib", help="Append the entries that this file lacks.", metavar="FILE")
    ] = None,
    store: StoreOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Cite claims: equations with labels, references, and what the evidence is."""
    from . import registry
    from .writing import bibliography, citation
    from .writing.notation import load

    names = list(registry.asked()) if every else list(ids or ())
    if not names:
        raise InputError("Missing argument 'ID...': name claims, or cite --all")
    letters = None if notation is None else load(notation)
    form = "json" if as_json and out is None else form
    if out is None:
        text = citation.cite(names, form, _store(store), letters)
    else:
        text = _saved(lambda: citation.save(names, out, form, _store(store), letters), out, as_json)
    if bib is not None:
        papers = [registry.paper(key) for key in dict.fromkeys(registry.find(name).paper for name in names)]
        try:
            bibliography.append(bib, papers)
        except OSError as error:
            raise InputError(f"cannot write {bib} ({error.strerror})") from None
    typer.echo(text, nl=False)


@app.command()
def audit(
    manuscript: Annotated[Path, typer.Argument(help="A LaTeX file; what it inputs is read too.", metavar="FILE.tex")],
    notation: NotationOption = None,
    form: Annotated[str, typer.Option("--format", help="text, json or github.", metavar="FORMAT")] = "text",
    allow_unread: Annotated[
        bool, typer.Option("--allow-unread", help="Exit 0 though equations are unread or unverified.")
    ] = False,
    store: StoreOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Compare the equations of a manuscript that are tied to claims with the claims."""
    from .reading.auditing import audit as audited
    from .writing.notation import load

    if form not in ("text", "json", "github"):
        raise InputError(f"unknown format {form!r}; expected one of text, json, github")
    found = audited(manuscript, None if notation is None else load(notation), _store(store))
    if as_json or form == "json":
        _print_json(found.json())
    else:
        typer.echo(found.github() if form == "github" else found.plain(), nl=False)
    if not found.equations:
        print("tightframe: no equation is tied to a claim", file=sys.stderr)
    raise typer.Exit(found.exit_code(allow_unread))


def _saved(save: Callable[[], Sequence[Path]], out: Path, as_json: bool) -> str:
    try:
        written = [str(path) for path in save()]
    except OSError as error:
        raise InputError(f"cannot write to {out} ({error.strerror})") from None
    return json.dumps({"written": written}, indent=2) + "\n" if as_json else f"written: {', '.join(written)}\n"


def _write(text: str | bytes, out: Path | None) -> None:
    """To stdout, or to a file that is there whole or not at all."""
    if out is None:
        typer.echo(text, nl=False)
        return
    from .store import write_atomically

    try:
        write_atomically(out, text)
    except OSError as error:
        raise InputError(f"cannot write {out} ({error.strerror})") from None


@app.command()
def report(
    out: Annotated[Path, typer.Option("--out", help="Folder to write; a report that is there is replaced.")],
    paper: Annotated[list[str] | None, typer.Option(help="Only claims of this paper.", metavar="KEY")] = None,
    figures: Annotated[
        Path | None, typer.Option("--figures", help="Folder that simulate --out wrote.", metavar="DIR")
    ] = None,
    simulate: Annotated[
        list[str] | None, typer.Option("--simulate", help="Run this experiment for its figure.", metavar="NAME")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of what is simulated.", min=0)] = 0,
    jobs: Annotated[int, typer.Option("-j", "--jobs", help="Processes.", min=1)] = 1,
    store: StoreOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Write claims, derivations, evidence and citations as static pages, to be read offline."""
    from .writing import site

    names = list(dict.fromkeys(simulate or ()))
    with _progress(len(site.chosen(paper or ())) + len(names), "report") as advance:
        found = site.report(
            out,
            paper or (),
            figures=figures,
            simulate=names,
            seed=seed,
            jobs=jobs,
            store=_store(store),
            progress=advance,
        )
    if as_json:
        _print_json(found.json(out))
    else:
        typer.echo(found.plain(out))
    failed = [figure for figure in found.figures if figure.experiment.name in names and figure.failed]
    for figure in failed:
        print(f"tightframe: {figure.experiment.name} did not converge: {figure.failed}", file=sys.stderr)
    if failed:
        raise typer.Exit(3)


SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="An input; @FILE for a long list.", metavar="NAME=VALUE")
]


@app.command()
def predict(
    claim: Annotated[str, typer.Argument(help="The id of a claim, such as han2022/closed-form.", metavar="ID")],
    inputs: SetOption = None,
    digits: Annotated[
        int | None, typer.Option(help="Correctly rounded to so many significant digits.", min=1, max=10_000)
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Evaluate the closed form of a claim."""
    from .prediction import of_claim, plain, settings

    data = of_claim(claim, settings(inputs or ()), digits)
    if as_json:
        _print_json(data)
    else:
        typer.echo(plain(data["values"]))


@app.command()
def simulate(
    name: Annotated[str, typer.Argument(help="The name of an experiment, such as central-path.", metavar="NAME")],
    inputs: SetOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the files; with --json, none are written without it.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of all that is random.", min=0)] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Run an experiment beside its prediction: numbers as JSON, a figure as PNG and PDF (in this folder, or --out)."""
    from . import experiments
    from .prediction import read, settings

    experiment = experiments.find(name)
    values = read(experiment.inputs, settings(inputs or ()))
    folder = out if out is not None or as_json else Path()
    written: list[Path] = []
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)  # before the work, not after it
        with _progress(experiment.stages(values), "simulate") as advance:
            numbers = experiments.run(experiment, values, seed, advance)
        if folder is not None:
            written = experiments.save(experiment, numbers, folder)
    except OSError as error:
        raise InputError(f"cannot write to {folder} ({error.strerror})") from None
    if as_json:
        _print_json(numbers)
    else:
        for line in experiment.summary(numbers):
            typer.echo(line)
        typer.echo(f"written: {', '.join(map(str, written))}")
    if not numbers["converged"]:
        print(f"tightframe: did not converge: {numbers['reason']}", file=sys.stderr)
        raise typer.Exit(3)


@app.command()
def sweep(
    file: Annotated[Path, typer.Argument(help="The sweep, as TOML.", metavar="FILE.toml")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the results; NAME.sweep beside the file.", metavar="DIR")
    ] = None,
    jobs: Annotated[int | None, typer.Option("-j", "--jobs", help="Processes; as many as cores.", min=1)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    local: Annotated[
        str | None, typer.Option("--cluster", help="A Dask cluster on this machine.", metavar="local:N")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", help="The Dask scheduler there.", metavar="tcp://HOST:PORT")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Start even if the results may fill the disk.")] = False,
    query: Annotated[
        str | None, typer.Option("--query", help="Ask DuckDB about the table results; run nothing.", metavar="SQL")
    ] = None,
    plot: Annotated[
        str | None, typer.Option("--plot", help="Draw columns: x,y or x,y,colour; run nothing.", metavar="COLUMNS")
    ] = None,
    where: Annotated[
        str | None, typer.Option("--where", help="Draw only these rows, such as 'M = 2'.", metavar="SQL")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="Ask or draw results of another spec or version.", metavar="KEY")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run a grid or random design of simulations; a second start goes on where the first was ended.

    SLURM or PBS, with dask-jobqueue, from any folder that all nodes see:
    cluster = dask_jobqueue.SLURMCluster(cores=1, memory="4GB");
    cluster.scale(jobs=100); print(cluster.scheduler_address)
    and, while that runs, tightframe sweep FILE.toml --scheduler ADDRESS
    """
    from .sweeps import sweeping

    if query is not None or plot is not None:
        table, drawn = sweeping.asked(file, query, plot, where, out, device, key)
        _print_sweep(table, drawn, as_json)
        return
    if where is not None or key is not None:
        raise InputError("expected --where with --plot, and --key with --query or --plot")
    report = sweeping.sweep(
        file, out=out, jobs=jobs, device=device, cluster=local, scheduler=scheduler, yes=yes, progress=sweeping.bar
    )
    if as_json:
        _print_json(report.json())
    else:
        typer.echo(report.plain())
    if report.driven.interrupted:
        print(
            "tightframe: interrupted; finished configurations are kept, and the same command goes on", file=sys.stderr
        )
        raise typer.Exit(3)


def _print_sweep(table: Any, drawn: Sequence[Path], as_json: bool) -> None:
    from .sweeps.sweeping import rows_json

    rows = None if table is None else rows_json(table)
    if as_json:
        told: dict[str, Any] = {} if rows is None else {"rows": rows}
        _print_json(told | ({"written": list(map(str, drawn))} if drawn else {}))
        return
    if rows is not None:
        from rich.table import Table

        grid = Table(box=None, pad_edge=False)
        for name in table.column_names:
            grid.add_column(name)
        for row in rows:
            grid.add_row(*("" if value is None else str(value) for value in row.values()))
        _print_table(grid)
    if drawn:
        typer.echo(f"written: {', '.join(map(str, drawn))}")


@app.command()
def measure(
    file: Annotated[Path, typer.Argument(help="Features, labels, perhaps a classifier: .npz, .pt or .safetensors.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder for numbers and figures.", metavar="DIR")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure collapse of stored features: NC1 to NC4, and the nearest frame."""
    from . import measuring

    data = measuring.measure(file)
    if as_json:
        _print_json(data)
    else:
        typer.echo(measuring.plain(data))
    if out is not None:
        written = _saved(lambda: measuring.save(data, out), out, False)
        if not as_json:
            typer.echo(written, nl=False)


@app.command()
def verify(
    ids: Annotated[list[str] | None, typer.Argument(help="Claims; all if none is given.", metavar="[ID]...")] = None,
    paper: Annotated[str | None, typer.Option(help="Only claims of this paper.", metavar="KEY")] = None,
    full: Annotated[bool, typer.Option("--full/--quick", help="Ten times as many sampled examples.")] = False,
    recheck: Annotated[bool, typer.Option("--recheck", help="Only replay, or show, what is shipped.")] = False,
    mutants: Annotated[bool, typer.Option("--mutants", help="Try claims changed in one token.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of all sampling.", min=0)] = 0,
    jobs: Annotated[int, typer.Option("-j", "--jobs", help="Processes.", min=1)] = 1,
    store: StoreOption = None,
    certificates: Annotated[
        Path | None,
        typer.Option(help="Also write the certificates, or trials, there; with --recheck, read them.", metavar="DIR"),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Gather evidence for claims from both sides and print the table of verdicts."""
    from . import registry

    names = [registry.find(name).id for name in ids or ()]
    if paper is not None:
        names += [claim.id for claim in registry.paper(paper).claims if claim.id not in names]
    names = list(dict.fromkeys(names)) or list(registry.asked())
    if recheck:
        raise typer.Exit(_recorded_mutants(names, as_json) if mutants else _recheck(names, as_json, certificates))
    if mutants:
        derived = [name for name in names if name in (ids or ()) or registry.find(name).derive is not None]
        raise typer.Exit(_mutants(derived, seed, jobs, as_json, certificates))
    results, failure = _gather(names, full, seed, jobs, _store(store).folder)
    if certificates is not None:
        _write_certificates(results, certificates)
    if as_json:
        _print_json([_result_json(result) for result in results])
    else:
        from .display import table

        _print_table(table(results, timed=True))
    _say_what_is_missing(results)
    if failure is not None:
        raise failure
    codes = {result.exit_code for result in results}
    unfinished = 3 if len(results) < len(names) else 0
    raise typer.Exit(next((code for code in (1, 2) if code in codes), max(codes | {unfinished}, default=0)))


def _say_what_is_missing(results: Sequence[Standing]) -> None:
    """Packages that are not installed; of claims of one's own, the line at fault, and why."""
    from . import registry
    from .step_checking import remarks

    for result in results:
        for piece in result.evidence:
            if piece.outcome == "unavailable":
                print(f"tightframe: {result.claim}: {piece.detail}", file=sys.stderr)
        if registry.is_own(result.claim.partition("/")[0]):
            for remark in remarks(registry.find(result.claim), result):
                print(f"tightframe: {remark}", file=sys.stderr)


def _gather(
    names: Sequence[str], full: bool, seed: int, jobs: int, folder: Path
) -> tuple[list[Standing], Exception | None]:
    """Results so far, also when interrupted or when the store fails half-way."""
    from .store import StoreError
    from .verification import WorkerEnded
    from .verification import verify as gather

    results: list[Standing] = []
    failure: Exception | None = None
    with _progress(len(names)) as advance:
        try:
            for result in gather(names, full=full, seed=seed, jobs=jobs, store=folder, progress=advance):
                results.append(result)
        except KeyboardInterrupt:
            print("tightframe: interrupted; finished evidence is kept", file=sys.stderr)
        except WorkerEnded as error:
            print(f"tightframe: {error}; finished evidence is kept", file=sys.stderr)
        except StoreError as error:
            if not results:
                raise
            failure = error
    return results, failure


def _progress(total: int, title: str = "verify") -> Any:
    """A context with a function to call for each finished claim or stage: a bar on a terminal, else nothing."""
    if not sys.stderr.isatty():
        return nullcontext(lambda name: None)
    return _Bar(total, title)


class _Bar:
    """A progress bar on stderr."""

    def __init__(self, total: int, title: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn(title),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[name]}"),
        )
        self.bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self.task = self.bar.add_task(title, total=total, name="")

    def __enter__(self) -> Callable[[str], None]:
        self.bar.start()
        return lambda name: self.bar.update(self.task, advance=1, name=name)

    def __exit__(self, *error: object) -> None:
        self.bar.stop()


def _result_json(result: Standing) -> dict[str, Any]:
    return {
        "id": result.claim,
        "verdict": str(result.verdict),
        "conditional_on": list(result.conditional_on),
        "unchecked": list(result.unchecked),
        "assumptions": list(result.assumptions),
        "recorded": str(result.recorded),
        "seconds": result.seconds,
        "evidence": [piece.json() for piece in result.evidence],
    }


def _write_certificates(results: Sequence[Standing], folder: Path) -> None:

    for result in results:
        if result.certificate is not None:
            text = json.dumps(result.certificate, separators=(",", ":"), sort_keys=True)
            _write(text + "\n", folder / f"{result.claim}.json")
        if result.numbers is not None:
            from . import registry
            from .store import runs_path

            record = {"hash": registry.find(result.claim).hash, "numbers": result.numbers}
            text = json.dumps(record, separators=(",", ":"), sort_keys=True, allow_nan=False)
            _write(text + "\n", runs_path(result.claim, folder))


def _recorded_mutants(names: Sequence[str], as_json: bool) -> int:
    """The figures of trials that came with the package."""
    from . import registry
    from .display import mutant_table
    from .store import shipped_trial

    derived = [registry.find(name) for name in names if registry.find(name).derive is not None]
    found = [(claim.id, shipped_trial(claim.id, claim.hash)) for claim in derived]
    if as_json:
        _print_json([data for _, data in found if data is not None])
    else:
        _print_table(mutant_table([data for _, data in found if data is not None]))
    for name in (name for name, data in found if data is None):
        print(f"tightframe: {name} has no recorded trial of its mutants", file=sys.stderr)
    return 0


def _mutants(names: Sequence[str], seed: int, jobs: int, as_json: bool, folder: Path | None) -> int:
    from . import registry
    from .store import trial_path
    from .trials.mutants import OPEN_SHARE, Tally, tally
    from .verification import WorkerEnded

    tried = [name for name in names if registry.find(name).derive is not None]
    for name in sorted(set(names) - set(tried)):
        print(f"tightframe: {name} has no derivation, so its mutants are not tried", file=sys.stderr)
    found: list[Tally] = []
    with _progress(len(tried), "mutants") as advance:
        try:
            for result in tally(tried, seed=seed, jobs=jobs):
                found.append(result)
                if folder is not None:
                    _write(json.dumps(result.record(), indent=1) + "\n", trial_path(result.claim, folder))
                advance(result.claim)
        except KeyboardInterrupt:
            print("tightframe: interrupted; finished trials follow", file=sys.stderr)
        except WorkerEnded as error:
            print(f"tightframe: {error}; finished trials follow", file=sys.stderr)
    if as_json:
        _print_json([result.json() for result in found])
    else:
        from .display import mutant_table

        _print_table(mutant_table([result.json() for result in found]))
        for result in found:
            for trial in result.json()["not_killed"]:
                typer.echo(f"{trial['fate']}: {result.claim}: {trial['change']}: {trial['detail']}")
            if untold := registry.find(result.claim).beyond:
                typer.echo(f"not tried: {result.claim}: {untold}, which no certificate says")
            if result.too_many_open:
                typer.echo(f"finding: {result.claim}: more than {OPEN_SHARE:.0%} of the mutants are open")
    for result in found:
        if result.problem:
            print(f"tightframe: {result.claim}: its mutants are not tried: {result.problem}", file=sys.stderr)
    codes = {result.exit_code for result in found}
    unfinished = 3 if len(found) < len(tried) else 0
    return 1 if 1 in codes else max(codes | {unfinished})


def _recheck(names: Sequence[str], as_json: bool, folder: Path | None) -> int:
    from .verification import recheck

    found = recheck(names, folder)
    if as_json:
        _print_json({"accepted": found.accepted, "problems": found.problems, "seconds": found.seconds})
    else:
        typer.echo(f"{len(found.accepted)} certificates replayed and accepted in {found.seconds:.2f} s")
        for problem in found.problems:
            typer.echo(f"problem: {problem}")
    return 1 if found.problems else 0


@app.command()
def new(
    file: Annotated[Path, typer.Argument(help="A file that there is not yet.", metavar="FILE.py")],
    key: Annotated[str, typer.Option("--key", help="Prefix of the ids of its claims, and BibTeX key.", metavar="KEY")],
    title: Annotated[str, typer.Option(help="Title of the paper.", metavar="TEXT")] = "Title of the paper",
    authors: Annotated[str, typer.Option(help="Authors, as in BibTeX.", metavar="TEXT")] = "Anonymous",
    as_json: JsonFlag = False,
) -> None:
    """Write a claims file to begin with: an identity, a threshold, a simulated claim."""
    from .scaffold import SLUGS, write

    try:
        path = write(file, key, title, authors)
    except FileExistsError as error:
        raise InputError(str(error)) from None
    except OSError as error:
        raise InputError(f"cannot write {file} ({error.strerror})") from None
    if as_json:
        _print_json({"written": str(path), "claims": [f"{key}/{slug}" for slug in SLUGS]})
    else:
        typer.echo(f"written: {path}; next: tightframe verify --claims {path}")


@app.command("check-step")
def check_step(
    claim: Annotated[str, typer.Argument(help="FILE.py::claim, or an id.", metavar="CLAIM")],
    step: Annotated[str | None, typer.Option(help="Only this step.", metavar="NAME")] = None,
    seed: Annotated[int, typer.Option(help="Seed of all sampling.", min=0)] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Try the provers on the steps of a claim, and show what is missing."""
    from . import step_checking

    found = step_checking.check_steps(claim, step, seed)
    if as_json:
        _print_json(found.json())
    else:
        typer.echo(found.plain())
    raise typer.Exit(found.exit_code)


@app.command()
def refute(
    claim: Annotated[str, typer.Argument(help="FILE.py::claim, or an id.", metavar="CLAIM")],
    seconds: Annotated[float, typer.Option(help="How long to search.", min=0.1)] = 30.0,
    seed: Annotated[int, typer.Option(help="Seed of all sampling.", min=0)] = 0,
    at: Annotated[
        Path | None, typer.Option("--at", help="Only evaluate the claim in this witness.", metavar="WITNESS.json")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the witness there.", metavar="FILE.json")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Search for a counterexample to a claim, and report the smallest in exact numbers."""
    from .trials import refutation

    found = refutation.replay(claim, at) if at is not None else refutation.refute(claim, seconds=seconds, seed=seed)
    if out is not None and found.witness is not None:
        _write(json.dumps(found.witness, indent=1) + "\n", out)
    if as_json:
        _print_json(found.json(out))
    else:
        typer.echo(found.plain(out))
    raise typer.Exit(found.exit_code)


@app.command()
def check(
    certificate: Annotated[Path, typer.Argument(help="A certificate.", metavar="CERT.json")],
    claim: Annotated[str | None, typer.Option(help="Also compare with this claim.", metavar="ID")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Replay a certificate with the independent checker and print what it accepted."""
    from ..theory.proof import checker

    bound = None
    if claim is not None:
        from . import registry

        bound = registry.find(claim)
    try:
        with certificate.open("rb") as file:
            document = checker.loads(file.read(checker.MAX_BYTES + 1))
        if bound is None:
            report = checker.check(document)
        else:
            from .verification import accept

            report = accept(bound, document)
    except OSError as error:
        raise InputError(f"cannot read {certificate} ({error.strerror})") from None
    except checker.Malformed as error:
        raise InputError(f"{certificate}: not a certificate: {error}") from None
    except checker.Rejected as error:
        if as_json:
            _print_json({"accepted": False, "reason": str(error)})
        else:
            typer.echo(f"rejected: {error}")
        raise typer.Exit(1) from None
    if as_json:
        hypotheses = [{"name": n, "statement": text, "used": used} for n, text, used in report.hypotheses]
        _print_json(
            {
                "accepted": True,
                "claim": report.claim if bound is None else bound.id,
                "bound": bound is not None,
                "statement": report.statement,
                "hypotheses": hypotheses,
                "conditional_on": report.conditional_on,
                "unchecked": report.unchecked,
                "assumptions": report.assumptions,
                "assumed_nonzero": report.assumed_nonzero,
                "steps": report.steps,
                "rules": report.rules,
            }
        )
        return
    typer.echo(checker.summary(report))
    if bound is not None:
        typer.echo(f"statement and hypotheses are those of {bound.id} ({bound.hash})")


@store_app.command("clear")
def store_clear(store: StoreOption = None) -> None:
    """Delete all stored evidence."""
    where = _store(store)
    try:
        count = where.clear()
    except OSError as error:
        raise InputError(f"cannot clear the store {where.folder} ({error.strerror})") from None
    typer.echo(f"{count} records deleted")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _taking_claims(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler with the option ``--claims``, which is before and after every verb."""

    @wraps(handler)
    def handle(*arguments: Any, claims: list[Path] | None = None, **named: Any) -> Any:
        if claims:
            from . import claims_files

            for file in claims:
                claims_files.add(file)
        return handler(*arguments, **named)

    hints = get_type_hints(handler, include_extras=True)
    plain = [each.replace(annotation=hints[name]) for name, each in inspect.signature(handler).parameters.items()]
    option = inspect.Parameter("claims", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=ClaimsOption)
    handle.__signature__ = inspect.Signature([*plain, option])  # type: ignore[attr-defined]
    handle.__annotations__ = {**hints, "claims": ClaimsOption}
    return handle


def _every_verb_takes_claims(*groups: typer.Typer) -> None:
    for group in groups:
        for command in group.registered_commands:
            assert command.callback is not None
            command.callback = _taking_claims(command.callback)
        if group.registered_callback is not None and group.registered_callback.callback is not None:
            group.registered_callback.callback = _taking_claims(group.registered_callback.callback)


_every_verb_takes_claims(app, store_app)


def _problems() -> tuple[str, ...]:
    """What is wrong with claims files, if any were asked for."""
    registry = sys.modules.get(f"{__package__}.registry")
    return () if registry is None else tuple(registry.problems())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; errors are one plain line on stderr."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    usage_error = typer.BadParameter.__mro__[1]  # the base of all usage errors of the library that typer ships
    before = os.environ.get(CLAIMS)
    try:
        result = typer.main.get_command(app).main(args=words, prog_name="tightframe", standalone_mode=False)
        if result == INTERRUPTED:
            raise KeyboardInterrupt
        return 2 if _problems() else result if isinstance(result, int) else 0
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (KeyboardInterrupt, typer.Abort):
        print("tightframe: interrupted", file=sys.stderr)
        return 3
    except Exception as error:
        if "--debug" in words:
            raise
        return _report(error, usage_error)
    finally:
        if before is None:
            os.environ.pop(CLAIMS, None)
        else:
            os.environ[CLAIMS] = before
        if (files := sys.modules.get(f"{__package__}.claims_files")) is not None:
            files.named.clear()


def _report(error: Exception, usage_error: type) -> int:
    if isinstance(error, usage_error):
        message = error.format_message()  # type: ignore[attr-defined]
        print(f"tightframe: {_one_line(message)} (see tightframe --help)", file=sys.stderr)
        return 2
    expected = (InputError, OSError, LookupError, ValueError)
    message = _one_line(str(error.args[0] if isinstance(error, LookupError) and error.args else error))
    if not isinstance(error, expected):
        message = f"internal error ({type(error).__name__}: {message}); run with --debug for the traceback"
    if message not in _problems():  # those are said where they are met
        print(f"tightframe: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
