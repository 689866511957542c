"""Experiments: named simulations beside what theory predicts, with numbers as JSON and a figure."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .drawing import STYLE
from .prediction import Input, Values, Word, read
from .registry import UnknownName, papers
from .store import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Numbers = dict[str, Any]
Progress = Callable[[str], None]


Setting = Callable[[Values], dict[str, Any]]


@dataclass(frozen=True)
class Cell:
    """What a sweep of an experiment has for its configurations, where the experiment can be taken apart into cells.

    ``inputs`` are a cell's parameters. ``setting(values)`` is what the simulation of `numerics.simulations` of this
    name is told; it raises ``ValueError``, in one line, where values do not fit together. ``predict(values)`` is what
    the ``claims`` say of the cell, for names that the sweep writes after ``predicted_``: only papers/ sees it.
    ``curves(x, y, values)``, for names of two parameters and the values of all others, are exact curves of a phase
    diagram: a label, xs and ys each.
    """

    inputs: tuple[Input, ...]
    simulation: str
    setting: Setting
    predict: Setting
    claims: tuple[str, ...]
    curves: Callable[[str, str, Values], list[tuple[str, Any, Any]]] | None = None


@dataclass(frozen=True)
class Experiment:
    """A simulation: ``run(values, seed, progress)`` gives its numbers, ``figure(numbers)`` draws them.

    The numbers are JSON, with ``converged`` and, where that is false, the ``reason``. The figure and the ``summary`` (a
    few lines of text) are made from them alone; ``drawn`` says whether they have anything that a figure may show: all
    has to have converged, unless the figure leaves out, or marks, what has not. ``progress`` is called with a word
    after each of the ``stages``. ``claims`` are those of which the figure shows something. A sweep runs its ``cell``
    for each configuration or, without one, all of it.
    """

    name: str
    says: str
    inputs: tuple[Input | Word, ...]
    stages: Callable[[Values], int]
    run: Callable[[Values, int, Progress], Numbers]
    summary: Callable[[Numbers], list[str]]
    figure: Callable[[Numbers], Figure]
    drawn: Callable[[Numbers], bool] = lambda numbers: bool(numbers["converged"])
    claims: tuple[str, ...] = ()
    cell: Cell | None = None


# The module of each experiment that defines it as EXPERIMENT; those of a paper in one file are in its PAPER.
EXPERIMENTS = {
    "central-path": "han2022.central_path",
    "imbalanced-lengths": "dang2023.lengths",
    "minority-collapse": "dang2023.phase_diagram",
    "dang2023-synthetic": "dang2023.synthetic",
    "garrod2025-figure1": "garrod2025.figure1",
    "garrod2025-figure2": "garrod2025.figure2",
    "garrod2025-rank": "garrod2025.rank",
    "hessian-spectrum": "garrod2025.hessian_spectrum",
    "flatness": "garrod2025.flatness",
    "optimality-map": "garrod2025.optimality_map",
    "garrod2025-relu": "garrod2025.relu",
    "garrod2025-depth": "garrod2025.depth",
    "imbalanced-depth": "garrod2025.imbalance",
    "proximity": "han2022.proximity",
    "deep-linear-heads": "dang2023.heads",
    "low-rank-heads": "garrod2025.heads",
}


def modules() -> dict[str, str]:
    """The module of each experiment, by name."""
    return EXPERIMENTS | {each.name: key for key, paper in papers().items() for each in paper.experiments}


def home(name: str) -> Path:
    """The file that defines an experiment; of those in a file of ours, no paper is loaded."""
    from . import registry

    if name in EXPERIMENTS:
        return Path(__file__).resolve().parent.joinpath(*EXPERIMENTS[name].split(".")).with_suffix(".py")
    return registry.home(modules()[name])


def find(name: str) -> Experiment:
    """The experiment with this name.

    Raises:
        UnknownName: naming those that there are.
    """
    if name in EXPERIMENTS:
        found: Experiment = import_module(f".{EXPERIMENTS[name]}", __package__).EXPERIMENT
        return found
    own = {each.name: each for paper in papers().values() for each in paper.experiments}
    if name not in own:
        raise UnknownName(f"no experiment is called {name!r}; known: {', '.join((*EXPERIMENTS, *own))}")
    return own[name]


def of_paper(key: str) -> list[str]:
    """The names of the experiments of a paper, in their order."""
    return [name for name, module in modules().items() if module.partition(".")[0] == key]


def simulate(name: str, /, *, seed: int = 0, out: Path | str | None = None, **inputs: Any) -> Numbers:
    """Run an experiment and return its numbers; with ``out``, a folder, also save them and the figure there.

    Inputs are numbers, sequences of numbers, or texts as after ``--set``. The same inputs and seed give the same.

    Raises:
        UnknownName: if there is no such experiment.
        ValueError: in one line, for inputs that are unknown or out of range.

    Examples:
        >>> numbers = simulate("central-path", C=3, N=4, p=3, w0=(2, 1), t_end=100, steps=40)
        >>> numbers["converged"], numbers["max_relative_deviation"] < 1e-6
        (True, True)
    """
    experiment = find(name)
    if out is not None:
        Path(out).mkdir(parents=True, exist_ok=True)  # before the work, not after it
    numbers = run(experiment, read(experiment.inputs, inputs), seed)
    if out is not None:
        save(experiment, numbers, Path(out))
    return numbers


def run(experiment: Experiment, values: Values, seed: int, progress: Progress = lambda stage: None) -> Numbers:
    """The numbers of an experiment for exact values of its inputs."""
    return {"experiment": experiment.name, "seed": seed} | experiment.run(values, seed, progress)


def save(experiment: Experiment, numbers: Numbers, folder: Path) -> list[Path]:
    """Write the numbers, and the figure as PNG and PDF if there is something to draw; each file whole or not at all.

    Raises:
        OSError: if the folder cannot be written to.
    """
    paths = [folder / f"{experiment.name}.json"]
    text = json.dumps(numbers, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(paths[0], text + "\n")
    if not experiment.drawn(numbers):
        return paths
    return [*paths, *save_figure(experiment.name, lambda: experiment.figure(numbers), folder)]


def save_figure(name: str, draw: Callable[[], Figure], folder: Path) -> list[Path]:
    """A figure as PNG and PDF; each file whole or not at all."""
    import matplotlib as mpl

    # Neither a date nor a version in the files: the same numbers give the same bytes.
    unsaid: dict[str, tuple[str, ...]] = {"png": ("Software",), "pdf": ("CreationDate", "Producer", "Creator")}
    paths: list[Path] = []
    with mpl.rc_context(dict(STYLE)):
        drawn = draw()
        for suffix, keys in unsaid.items():
            buffer = io.BytesIO()
            drawn.savefig(buffer, format=suffix, metadata=dict.fromkeys(keys))
            paths.append(folder / f"{name}.{suffix}")
            write_atomically(paths[-1], buffer.getvalue())
    return paths
