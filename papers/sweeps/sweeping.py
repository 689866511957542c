"""The verb ``sweep``: many configurations of an experiment, on processes or a cluster, into a folder of parts."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import experiments, provenance
from ..prediction import echo
from . import spec as sweep_spec
from .driver import Driven, Progress, drive
from .folder import Folder, query, require_extra
from .spec import Spec
from .workers import Batch, Cluster, Processes, Workers, cluster, cores

if TYPE_CHECKING:
    import pyarrow as pa

    from ...numerics.sweep import Simulation

DISK_SHARE = 0.5  # of the free disk, that a sweep takes without asking
NUMBER, TEXT = 8, 40  # bytes, before compression
WHOLE_ROW = 2000  # of an experiment that is not taken apart
PROBED = 200  # configurations whose values are looked at before anything runs

NVIDIA = Path("/dev/nvidiactl")  # there on Linux where a driver of NVIDIA is

Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class Report:
    """What became of a sweep, and where its parts lie."""

    name: str
    folder: Path
    key: str
    device: str
    driven: Driven

    def json(self) -> dict[str, Any]:
        told = self.driven
        return {
            "sweep": self.name,
            "folder": str(self.folder),
            "key": self.key,
            "device": self.device,
            "configurations": told.configurations,
            "finished": told.before + told.now,
            "finished_now": told.now,
            "seconds": round(told.seconds, 3),
            "interrupted": told.interrupted,
            "failed_now": told.failed,
            "unconverged_now": told.unconverged,
        }

    def plain(self) -> str:
        told = self.driven
        rate = f", {told.now / told.seconds:.3g} a second" if told.now and told.seconds else ""
        finished = f"{told.before + told.now} of {told.configurations} configurations, {told.now} of them now{rate}"
        lines = [finished]
        if told.failed or told.unconverged:
            failed = f"{told.failed} have no numbers (column error)"
            lines.append(f"of these, {failed}, and {told.unconverged} did not converge (column converged)")
        return "\n".join([*lines, f"written: {self.folder}"])

    def query(self, sql: str) -> pa.Table:
        """What DuckDB answers about the table ``results``; ``.to_pandas()`` or `polars.from_arrow` go on from there."""
        return query(Folder(self.folder.parent, self.key).sound(), sql)


# ------------------------------------------------------------------------------------------------------- a batch


def simulation(spec: Spec) -> Simulation:
    """What runs a batch: the simulation of the experiment's cell, or the whole experiment, one at a time."""
    from ...numerics.simulations import SIMULATIONS
    from ...numerics.sweep import WORK, Simulation

    if spec.experiment.cell is not None:
        return SIMULATIONS[spec.experiment.cell.simulation]
    return Simulation(
        spec.experiment.name, (), lambda some, device, dtype: _whole(spec, some), lambda told: 1, lambda told: WORK
    )


def setting(spec: Spec, number: int) -> dict[str, Any]:
    """What the simulation is told of a configuration."""
    values = spec.values(number)
    seed = values.pop("seed")
    told = values if spec.experiment.cell is None else spec.experiment.cell.setting(values)
    return told | {"seed": seed}


def _whole(spec: Spec, configurations: Sequence[Mapping[str, Any]]) -> Columns:
    """The numbers of whole experiments: what is a single number becomes a column."""
    rows = []
    for each in configurations:
        values = {name: value for name, value in each.items() if name != "seed"}
        numbers = experiments.run(spec.experiment, values, each["seed"])
        rows.append(dict(_leaves({n: x for n, x in numbers.items() if n not in ("inputs", "experiment", "seed")})))
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _leaves(numbers: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in numbers.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        elif isinstance(value, list) and len(value) == 1 and isinstance(value[0], Mapping):
            yield from _leaves(value[0], f"{prefix}{name}.")
        elif value is None or isinstance(value, bool | str):
            yield f"{prefix}{name}", value
        elif isinstance(value, int | float):
            yield f"{prefix}{name}", float(value)


@lru_cache(maxsize=4)
def _understood(text: str) -> tuple[Spec, str]:
    import json

    told = json.loads(text)
    spec = sweep_spec.read(told["spec"])
    if told["source"] != _source(spec):
        raise ValueError("a worker has another version of tightframe than the driver")
    return spec, told["device"]


def _source(spec: Spec) -> str:
    return provenance.sweep_hash(experiments.home(spec.experiment.name), spec.experiment.cell is None)


def simulated(text: str, batch: Batch) -> Columns:
    """The rows of a batch: parameters, what the simulation measured and, after ``predicted_``, what claims say.

    `text` is the task of a sweep as JSON. This is what workers run.
    """
    import torch

    from ...numerics import sweep
    from ...numerics.linalg import one_thread

    spec, device = _understood(text)
    dtype = torch.float32 if spec.dtype == "float32" else torch.float64
    rows: list[dict[str, Any]] = []
    good: list[dict[str, Any]] = []
    fit: list[dict[str, Any]] = []
    for number in batch:
        values = spec.values(number)
        row: dict[str, Any] = {"configuration": number} | echo(values)
        rows.append(row)
        try:
            fit.append(setting(spec, number))
            good.append(row)
        except ValueError as error:
            row["error"] = str(error)
    if fit:
        with one_thread():
            measured = sweep.run(simulation(spec), fit, device, dtype)
        for place, row in enumerate(good):
            row |= {name: column[place] for name, column in measured.items()}
    for row in rows:
        row |= _predicted(spec, row["configuration"])
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _predicted(spec: Spec, number: int) -> dict[str, Any]:
    """What the claims say of a configuration; nothing where they say nothing of such values."""
    cell = spec.experiment.cell
    if cell is None:
        return {}
    values = spec.values(number)
    values.pop("seed")
    try:
        return {f"predicted_{name}": value for name, value in cell.predict(values).items()}
    except (ValueError, ArithmeticError):
        return {}


# ------------------------------------------------------------------------------------------------------ the driver


@dataclass(frozen=True)
class Plan:
    """A sweep ready to run: the spec, its folder, the kind of device."""

    name: str
    spec: Spec
    folder: Folder
    device: str
    code: Mapping[str, Any]

    @property
    def task(self) -> str:
        """What `simulated` is told."""
        import json

        told = {"spec": self.spec.canonical, "device": self.device, "source": self.code["source"]}
        return json.dumps(told, sort_keys=True)

    def told(self) -> dict[str, Any]:
        """What ``sweep.json`` says."""
        from .. import registry

        cell = self.spec.experiment.cell
        claims = [registry.find(name) for name in (() if cell is None else cell.claims)]
        return {
            "format": sweep_spec.FORMAT,
            "sweep": self.name,
            "key": self.folder.key,
            "spec": self.spec.canonical,
            "configurations": self.spec.design.count,
            "device": self.device,
            "dtype": self.spec.dtype,
            "code": dict(self.code),
            "claims": [{"id": claim.id, "hash": claim.hash} for claim in claims],
        }


def kind_of(device: str) -> str:
    """The kind of a device, cpu or cuda. Torch is asked only where there may be a GPU.

    Raises:
        ValueError: in one line, for a device that is unknown or absent.
    """
    if device == "cpu" or (device == "auto" and sys.platform == "linux" and not NVIDIA.exists()):
        return "cpu"
    from ...numerics.shapes import resolve_device

    return resolve_device(device).type


def plan(file: Path, out: Path | None = None, device: str = "auto") -> Plan:
    """Read the file of a sweep; nothing is written.

    Raises:
        ValueError: in one line, for what cannot be run.
    """
    from importlib.metadata import version

    require_extra()
    kind = kind_of(device)
    spec = sweep_spec.load(file)
    code = {
        "version": version("tightframe"),
        "source": _source(spec),
        "engines": provenance.engines("sweep"),
    }
    root = _root(file, out)
    key = spec.key(f"{code['source']} {sorted(code['engines'].items())}", kind)
    return Plan(file.stem, spec, Folder(root, key), kind, code)


def asked(
    file: Path, sql: str | None, plot: str | None, where: str | None, out: Path | None, device: str, key: str | None
) -> tuple[pa.Table | None, list[Path]]:
    """What ``--query`` and ``--plot`` give: a table, and the files of a figure, beside the parts.

    `key` names results of another spec or version, which need not be those of the file as it is now.

    Raises:
        ValueError: in one line, for what cannot be asked or drawn.
    """
    from .figure import save

    planned = plan(file, out, device) if key is None else of_key(_root(file, out), key)
    parts = parts_of(planned, file)
    table = None if sql is None else query(parts, sql)
    try:
        drawn = [] if plot is None else save(planned.spec, parts, plot, planned.folder.path, where)
    except OSError as error:
        raise ValueError(f"cannot write to {planned.folder.path} ({error.strerror})") from None
    return table, drawn


def rows_json(table: pa.Table) -> list[dict[str, Any]]:
    """The rows as JSON; what is no finite number is null."""

    def one(value: Any) -> Any:
        if isinstance(value, list):
            return [one(each) for each in value]
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        return value if value is None or isinstance(value, bool | int | str) else str(value)

    return [{name: one(value) for name, value in row.items()} for row in table.to_pylist()]


def _root(file: Path, out: Path | None) -> Path:
    return file.with_suffix(".sweep") if out is None else out


def of_key(root: Path, key: str) -> Plan:
    """The sweep of this key, as it was run.

    Raises:
        ValueError: in one line, if there is none.
    """
    import json

    require_extra()
    try:
        if not key.isalnum():
            raise FileNotFoundError
        told = json.loads((root / key / "sweep.json").read_bytes())
        return Plan(told["sweep"], sweep_spec.read(told["spec"]), Folder(root, key), told["device"], told["code"])
    except FileNotFoundError:
        raise ValueError(f"no results with the key {key[:40]!r} in {root}") from None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ValueError(f"cannot read {root / key / 'sweep.json'} ({' '.join(str(error).split())[:100]})") from None


def estimate(spec: Spec) -> int:
    """Bytes of all rows, before compression."""
    if spec.experiment.cell is None:
        return WHOLE_ROW * spec.design.count
    lists = [axis.values[0] for axis in spec.design.axes if axis.values and isinstance(axis.values[0], tuple)]
    longest = max((len(value) for value in lists), default=1) + 1
    return spec.design.count * (NUMBER * (20 + len(spec.design.axes) + 3 * longest) + TEXT)


def check(planned: Plan, yes: bool) -> None:
    """Whether there is room, and whether values fit together somewhere; nothing is written.

    Raises:
        ValueError: in one line, if not.
    """
    wanted, count = estimate(planned.spec), planned.spec.design.count
    root = planned.folder.root.absolute()
    existing = next(path for path in (root, *root.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if wanted > DISK_SHARE * free and not yes:
        raise ValueError(
            f"{count:,} configurations take up to {_bytes(wanted)}, and {_bytes(free)} are free in {existing}; "
            "--yes starts all the same"
        )
    every = max(1, count // PROBED)
    refused = ""
    for number in range(0, count, every):
        try:
            setting(planned.spec, number)
        except ValueError as error:
            refused = refused or str(error)
        else:
            return
    raise ValueError(f"no configuration can be run: {refused}")


def _bytes(number: float) -> str:
    power = min(4, int(math.log10(max(number, 1)) / 3))
    return f"{number / 1000**power:.3g} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"


def warm(experiment: str) -> None:
    """Load what a batch of this experiment needs."""
    from ...numerics import runs

    cell = experiments.find(experiment).cell
    assert runs.minima
    for name in () if cell is None else cell.claims:
        from .. import registry

        registry.find(name)


def staff(
    file: Path,
    device: str = "auto",
    jobs: int | None = None,
    local: str | None = None,
    scheduler: str | None = None,
) -> Workers:
    """Those who will run the batches. They load what they need while the driver does.

    Raises:
        ValueError: in one line, for a cluster that there is not.
    """
    if local is not None and scheduler is not None:
        raise ValueError("expected --cluster or --scheduler, not both")
    if local is not None or scheduler is not None:
        if jobs is not None:
            raise ValueError("expected --jobs without --cluster and --scheduler, which have their own workers")
        return Cluster(simulated, scheduler, 0 if local is None else cluster(local))
    named = sweep_spec.named(file)
    count = 1 if kind_of(device) == "cuda" else jobs or cores()
    return Processes(count, simulated, None if named is None else partial(warm, named))


def batches(planned: Plan) -> Callable[[Any], Iterator[Batch]]:
    """The batches of what is not done yet; windows of configurations that are all done cost nothing."""
    from ...numerics import sweep

    spec = planned.spec
    running = simulation(spec)
    return lambda done: sweep.batches(
        lambda number: setting(spec, number),
        spec.design.count,
        running,
        planned.device,
        wanted=lambda window: not done[window.start : window.stop].all(),
    )


def sweep(
    file: Path | str,
    *,
    out: Path | str | None = None,
    jobs: int | None = None,
    device: str = "auto",
    cluster: str | None = None,
    scheduler: str | None = None,
    yes: bool = False,
    progress: Callable[[Plan], Any] | None = None,
) -> Report:
    """Run the sweep of a file, or go on with it: what ``tightframe sweep FILE`` does.

    The report's ``query`` asks DuckDB. As processes are spawned, a script calls this below ``if __name__ ==
    "__main__"``. `progress(plan)` gives a context whose value is called with the number of finished configurations.

    Raises:
        ValueError: in one line, for wrong input, a folder that another driver has or that cannot be written to, a
            scheduler that does not answer, or a batch that fails.
    """
    from contextlib import nullcontext

    path = Path(file)
    if not path.is_file():
        raise ValueError(f"cannot read {path} (no such file)")
    # Processes load what they need while we do; a cluster is asked only when there is something to run.
    early = cluster is None and scheduler is None
    workers = staff(path, device, jobs) if early else None
    try:
        planned = plan(path, None if out is None else Path(out), device)
        check(planned, yes)
        workers = workers or staff(path, device, jobs, cluster, scheduler)
        workers.text = planned.task
        with nullcontext(lambda finished: None) if progress is None else progress(planned) as advance:
            planned.folder.acquire()
            try:
                planned.folder.describe(planned.told())
                driven = drive(planned.folder, planned.spec.design.count, batches(planned), workers, advance)
                return Report(planned.name, planned.folder.path, planned.folder.key, planned.device, driven)
            finally:
                planned.folder.release()
    finally:
        if workers is not None:
            workers.close()


@contextmanager
def bar(planned: Plan) -> Iterator[Progress]:
    """A progress bar on stderr with the rate and the time left, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda finished: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("sweep"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    began: list[tuple[float, int]] = []
    with Bar(*columns, console=Console(stderr=True), transient=True, speed_estimate_period=120) as shown:
        task = shown.add_task("sweep", total=planned.spec.design.count, rate="")

        def advance(finished: int) -> None:
            now = time.monotonic()
            if not began:
                began.append((now, finished))
            made, spent = finished - began[0][1], now - began[0][0]
            shown.update(task, completed=finished, rate=f"{made / spent:.3g}/s" if made else "")

        yield advance


def results(
    file: Path | str, sql: str = "SELECT * FROM results", *, out: Path | str | None = None, device: str = "auto"
) -> pa.Table:
    """The rows of a sweep that are there, without running it; ``.to_pandas()`` or `polars.from_arrow` go on from there.

    Raises:
        ValueError: in one line, if there are none or the query is wrong.
    """
    planned = plan(Path(file), None if out is None else Path(out), device)
    return query(parts_of(planned, file), sql)


def parts_of(planned: Plan, file: Path | str) -> list[Path]:
    """The sound parts of a sweep.

    Raises:
        ValueError: if there are none.
    """
    parts = planned.folder.sound()
    if not parts:
        others = [path.name for path in planned.folder.root.glob("*") if path.is_dir() and path != planned.folder.path]
        named = " or ".join(sorted(others)[:5])
        older = f"; there are results of other specs or versions: --key {named}" if others else ""
        raise ValueError(f"no results in {planned.folder.path}: start tightframe sweep {file}{older}")
    return parts
