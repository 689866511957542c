"""Collapse along the training of any PyTorch network: a tracker that leaves the training as it is."""

from __future__ import annotations

import difflib
import math
import random
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from . import statistics
from .measurement import METRICS
from .moments import Accumulator, Moments
from .mse_split import MSESplit, mse_split
from .shapes import all_finite, check_scale, check_size

__all__ = ["CollapseTracker", "UndefinedMetric"]

WIDEST = 4096  # of features for which the d x d scatter is gathered: 128 MiB in float64
KEPT = 2**28  # bytes of features of the head that are kept for NC4, which needs a second look at them


class UndefinedMetric(UserWarning):
    """A metric of a tracker is NaN; said once for each layer and metric."""


class CollapseTracker:
    """Metrics of collapse of layers of a network, measured on a loader every so many updates, in a tidy table.

    `head` names the last linear layer (a `torch.nn.Linear`): its input is measured, with NC3, NC4, the accuracy and the
    `mse_split` of han2022; `layer` names more modules (one, or several), whose output is measured. Features of more
    than two dimensions are flattened to (rows, d), channel by channel. `loader` gives pairs (inputs, labels), again and
    again. The number of classes K is that of the head's outputs, or `classes`. With `every` None only `measure()`
    measures. `weight_decay` is that of the `mse_split`.

    With a `group` of `torch.distributed` (`torch.distributed.group.WORLD` for all processes) each process reads its own
    part of the data and all get the table of the whole: every one of them has to track, with the same layers and at the
    same steps. A `DistributedSampler` repeats samples where their number is no multiple of the processes'; they count
    twice. Buffers, such as the running statistics of batch normalisation, are each process's own.

    `rows` is the table: a dictionary with `step`, `layer`, `metric` and `value` for each number. `lengths` has one for
    each class: `step`, `layer`, `class`, the length of the class mean (`mean`), its largest |cos| with another
    (`overlap`), the length of the head's row (`row`) and their cosine (`alignment`), both None for other layers. Both
    go as they are into `pandas.DataFrame`. Metrics are those of `measurement.METRICS` and, for the head, `accuracy`,
    `nc3_alignment`, `nc4_agreement`, `mse`, `mse_ls`, `mse_perp`, `mse_nc1`, `mse_nc23`; the least-squares classifier
    of the last measurement is `split.classifier`. `nc1_pinv` and the split are left out for d > 4096, and NC4 where the
    features take more than 2^28 bytes. What is not defined at a step (equal class means, NaN in a network that
    diverged) is NaN there, a warning says so once, and `refused` says why.

    Measuring is in eval mode, without gradients, and not compiled; hooks live only as long as it lasts. It changes
    neither parameters nor buffers nor the state of random generators, so that the training is the same to the last bit.
    It costs one forward pass over the loader and the metrics; `seconds` adds up what was spent. Two layers of width 128
    on 1000 digits, on one core: 16 ms, about as long as 1.3 epochs of that small perceptron in batches of 64, which
    row 11 of `make bench` measures.

    The first measurement is taken at once: what does not fit together shows before the training. Raises ValueError for
    a name that is not in the model, labels that do not fit, or a class without samples.

    >>> import torch
    >>> from tightframe.numerics.training import CollapseTracker
    >>> features, labels = torch.tensor([[0.0], [10.0], [4.0], [14.0]]), torch.tensor([0, 1, 0, 1])
    >>> model = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Linear(1, 2))
    >>> tracker = CollapseTracker(model, [(features, labels)], head="1", every=10)
    >>> for _ in range(20):  # a training loop, which calls this after every update
    ...     tracker.step()
    >>> steps, values = tracker.series("nc1_pinv")
    >>> steps, [round(value, 6) for value in values]
    ([0, 10, 20], [0.08, 0.08, 0.08])
    """

    def __init__(
        self,
        model: nn.Module,
        loader: Iterable[tuple[Tensor, Tensor]],
        *,
        layer: str | Sequence[str] = (),
        head: str | None = None,
        every: int | None = 100,
        classes: int | None = None,
        weight_decay: float = 0.0,
        group: Any = None,
    ) -> None:
        if isinstance(loader, Iterator):
            raise ValueError(
                f"expected a loader that can be read again, such as a DataLoader or a list, got {type(loader).__name__}"
            )
        if every is not None:
            check_size("every", every)
        check_scale("weight_decay", weight_decay)
        self.has_bias = False
        self.group = group
        self.model, self.loader, self.every, self.weight_decay = model, loader, every, weight_decay
        known = _modules(model)
        self._layers = {name: _find(known, name) for name in ([layer] if isinstance(layer, str) else layer)}
        if head in self._layers:
            raise ValueError(f"expected {head!r} as the head or as a layer, not both: of a head the input is measured")
        self.head = head
        self._head: nn.Linear | None = None
        if head is not None:
            found = _find(known, head)
            if not isinstance(found, nn.Linear):
                raise ValueError(f"expected head {head!r} to be a torch.nn.Linear, got {type(found).__name__}")
            self._head, self.has_bias = found, found.bias is not None
            classes = found.out_features if classes is None else classes
        if head is None and not self._layers:
            raise ValueError("expected the name of a layer, or of the head")
        if classes is None:
            raise ValueError("expected classes, their number, where no head says it")
        check_size("classes", classes, least=2)
        if self._head is not None and self._head.out_features != classes:
            raise ValueError(f"expected a head with {classes} outputs, got {self._head.out_features}")
        self.classes = classes
        self.steps = 0
        self.seconds = 0.0
        self.rows: list[dict[str, Any]] = []
        self.lengths: list[dict[str, Any]] = []
        self.refused: list[dict[str, Any]] = []
        self.moments: dict[str, Moments] = {}  # of the last measurement, by layer
        self.split: MSESplit | None = None  # likewise, with the least-squares classifier
        self.measure()

    @property
    def layers(self) -> tuple[str, ...]:
        """What is measured, by name; the head stands for its input."""
        names = tuple(self._layers)
        return names if self.head is None else (*names, self.head)

    def step(self, *_: object, **__: object) -> None:
        """Count an update, and measure after every so many. Arguments are ignored: it serves as a callback as it is."""
        self.steps += 1
        if self.every is not None and self.steps % self.every == 0:
            self.measure()

    def series(self, metric: str, layer: str | None = None) -> tuple[list[int], list[float]]:
        """Steps and values of one metric, of the head if no layer is named."""
        where = layer if layer is not None else self.head if self.head is not None else self.layers[0]
        found = [row for row in self.rows if (row["metric"], row["layer"]) == (metric, where)]
        if not found:
            known = sorted({row["metric"] for row in self.rows if row["layer"] == where})
            raise ValueError(
                f"expected a metric of the layer {where!r}, one of {', '.join(known)}, got {metric!r}"
                if known
                else f"expected a layer, one of {', '.join(self.layers)}, got {where!r}"
            )
        return [row["step"] for row in found], [row["value"] for row in found]

    def measure(self) -> None:
        """Measure now; a second measurement at one step replaces the first."""
        started = time.perf_counter()
        for table in (self.rows, self.lengths, self.refused):
            table[:] = [row for row in table if row["step"] != self.steps]
        with _as_it_was(self.model, self.loader):
            _Pass(self).run()
        self.seconds += time.perf_counter() - started

    def _note(self, layer: str, metric: str, value: Callable[[], Any]) -> None:
        """A row of the table."""
        try:
            number = float(value())
        except ValueError as error:
            number = math.nan
            self._refuse(layer, metric, str(error))
        self.rows.append({"step": self.steps, "layer": layer, "metric": metric, "value": number})

    def _refuse(self, layer: str, metric: str, reason: str) -> None:
        if (layer, metric) not in {(row["layer"], row["metric"]) for row in self.refused}:
            text = f"{metric} of the layer {layer!r} is NaN at step {self.steps}: {reason}"
            warnings.warn(text, UndefinedMetric, stacklevel=6)
        self.refused.append({"step": self.steps, "layer": layer, "metric": metric, "reason": reason})


class _Pass:
    """One pass over the loader."""

    def __init__(self, tracker: CollapseTracker) -> None:
        self.tracker = tracker
        self.seen: dict[str, Tensor] = {}
        self.gathered: dict[str, Accumulator] = {}
        self.broken: set[str] = set()  # layers with NaN or infinite features
        self.kept: list[tuple[Tensor, Tensor]] | None = []  # features and decisions of the head
        self.bytes = self.right = self.count = 0

    def run(self) -> None:
        tracker = self.tracker
        model = _inner(tracker.model)  # DistributedDataParallel waits for others at every batch, and copies buffers
        device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
        with ExitStack() as stack:
            for name, module in tracker._layers.items():
                stack.callback(module.register_forward_hook(self._output_of(name)).remove)
            if tracker._head is not None:
                stack.callback(tracker._head.register_forward_hook(self._at_head).remove)
            for batch in tracker.loader:
                if not isinstance(batch, Sequence) or len(batch) != 2 or not isinstance(batch[0], Tensor):
                    raise ValueError("expected batches that are pairs of tensors (inputs, labels)")
                self.seen.clear()
                model(batch[0].to(device))
                self._gather(torch.as_tensor(batch[1]).to(device))
        if not self.gathered:
            raise ValueError("expected a loader with at least one batch")
        if tracker.group is not None:
            self._share(tracker.group)
        self._evaluate()

    def _output_of(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            self.seen[name] = self._rows(name, output)

        return hook

    def _at_head(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self.seen[self.tracker.head or ""] = self._rows(self.tracker.head or "", inputs[0])
        self.decisions = self._rows(self.tracker.head or "", output).argmax(dim=1)

    @staticmethod
    def _rows(name: str, found: Any) -> Tensor:
        if not isinstance(found, Tensor) or found.ndim < 1:
            raise ValueError(f"expected features of the layer {name!r} as a tensor, got {type(found).__name__}")
        return found.reshape(len(found), -1).detach()

    def _gather(self, labels: Tensor) -> None:
        for name in self.tracker.layers:
            if name not in self.seen:
                raise ValueError(f"the layer {name!r} is not used by the model")
            rows = self.seen[name]
            if name not in self.gathered:
                device = rows.device if rows.device.type == "cuda" else "cpu"
                scatter = rows.shape[1] <= WIDEST
                self.gathered[name] = Accumulator(self.tracker.classes, rows.shape[1], scatter=scatter, device=device)
            if not all_finite(rows):
                self.broken.add(name)
                rows = torch.nan_to_num(rows, 0.0, 0.0, 0.0)  # only to check the labels
            self.gathered[name].update(rows, labels)
        if self.tracker.head is not None:
            rows = self.seen[self.tracker.head]
            self.right += int((self.decisions == labels).sum())
            self.count += len(labels)
            self.bytes += rows.numel() * rows.element_size()
            self.kept = None if self.kept is None or self.bytes > KEPT else [*self.kept, (rows, self.decisions)]

    def _share(self, group: Any) -> None:
        """What all processes have seen, in every one of them."""
        from torch import distributed

        for each in self.gathered.values():
            each.all_reduce(group)
        device = next(iter(self.gathered.values())).counts.device
        flags = [self.right, self.count, self.kept is None, *(name in self.broken for name in self.gathered)]
        shared = torch.tensor(flags, dtype=torch.int64, device=device)
        distributed.all_reduce(shared, group=group)
        self.right, self.count, dropped, *broken = shared.tolist()
        self.kept = None if dropped else self.kept
        self.broken = {name for name, number in zip(self.gathered, broken, strict=True) if number}

    def _evaluate(self) -> None:
        tracker = self.tracker
        tracker.moments = {name: each.moments() for name, each in self.gathered.items()}
        for name, moments in tracker.moments.items():
            metrics = dict(METRICS)
            if moments.scatter is None:
                del metrics["nc1_pinv"]
            for metric, function in metrics.items():
                tracker._note(name, metric, lambda f=function, n=name, m=moments: f(self._sound(n, m)))
            if name == tracker.head:
                self._evaluate_head(name, moments)
            tracker.lengths += self._lengths(name, moments)

    def _lengths(self, name: str, moments: Moments) -> list[dict[str, Any]]:
        """A row for each class; what has no direction has no angle."""
        tracker = self.tracker
        means = torch.full_like(moments.means, math.nan) if name in self.broken else moments.means
        norms = means.norm(dim=0)
        directions = means / norms
        overlaps = (directions.mT @ directions).abs().fill_diagonal_(0).amax(dim=0)
        table: dict[str, list[Any]] = {"mean": norms.tolist(), "overlap": overlaps.tolist()}
        table |= {"row": [None] * tracker.classes, "alignment": [None] * tracker.classes}
        if name == tracker.head and tracker._head is not None:
            weight = tracker._head.weight.detach().to(means)
            lengths = weight.norm(dim=1)
            table["row"] = lengths.tolist()
            table["alignment"] = ((weight * directions.mT).sum(dim=1) / lengths).tolist()
        head = {"step": tracker.steps, "layer": name}
        return [head | {"class": k, **{key: table[key][k] for key in table}} for k in range(tracker.classes)]

    def _sound(self, name: str, moments: Moments) -> Moments:
        if name in self.broken:
            raise ValueError("the features have NaN or infinite entries")
        return moments

    def _evaluate_head(self, name: str, moments: Moments) -> None:
        tracker, head = self.tracker, self.tracker._head
        assert head is not None
        weight = head.weight.detach().to(moments.means)
        bias = None if head.bias is None else head.bias.detach().to(moments.means)
        tracker._note(name, "accuracy", lambda: self.right / self.count)
        tracker._note(name, "nc3_alignment", lambda: statistics.nc3_alignment(weight, self._sound(name, moments)))
        if self.kept is not None:
            tracker._note(name, "nc4_agreement", lambda: self._agreement(self._sound(name, moments)))
        if moments.scatter is None:
            return
        tracker.split = None
        parts = ("mse", "mse_ls", "mse_perp", "mse_nc1", "mse_nc23")
        try:
            found = mse_split(self._sound(name, moments), weight, bias, tracker.weight_decay)
            if not found.converged:
                raise ValueError("the least-squares classifier did not converge")
            tracker.split = found
        except ValueError as error:
            for part in parts:
                tracker._note(name, part, _raiser(error))
            return
        values = (found.loss, found.least_squares, found.perpendicular, found.within, found.between)
        for part, value in zip(parts, values, strict=True):
            tracker._note(name, part, lambda v=value: v)

    def _agreement(self, moments: Moments) -> float:
        """How often the head decides as the nearest class mean does."""
        nearest = ((statistics.nearest_means(moments, rows), decisions) for rows, decisions in self.kept or ())
        agree = torch.tensor(sum(int((means == decisions).sum()) for means, decisions in nearest))
        if self.tracker.group is not None:
            from torch import distributed

            agree = agree.to(self.gathered[self.tracker.head or ""].counts.device)
            distributed.all_reduce(agree, group=self.tracker.group)
        return int(agree) / moments.samples


def _raiser(error: ValueError) -> Callable[[], float]:
    def fail() -> float:
        raise error

    return fail


def _inner(model: nn.Module) -> nn.Module:
    """The model itself, neither compiled nor spread over devices."""
    while True:
        if isinstance(model, (nn.parallel.DistributedDataParallel, nn.DataParallel)):
            model = model.module
        elif isinstance(getattr(model, "_orig_mod", None), nn.Module):
            model = model._orig_mod  # type: ignore[assignment]
        else:
            return model


def _modules(model: nn.Module) -> dict[str, nn.Module]:
    """Modules by the names that they have in the model itself."""
    named = {name.replace("_orig_mod.", ""): module for name, module in _inner(model).named_modules() if name}
    return {name: module for name, module in named.items() if not name.endswith("_orig_mod")}


def _find(known: dict[str, nn.Module], name: str) -> nn.Module:
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"the nearest are {', '.join(near)}" if near else f"there are {', '.join(list(known)[:10])}"
    raise ValueError(f"no module of the model is called {name!r}; {hint}")


@contextmanager
def _as_it_was(model: nn.Module, loader: object) -> Iterator[None]:
    """Eval mode, no gradients, nothing compiled; afterwards modes and random generators are as before."""
    modes = [(module, module.training) for module in model.modules()]
    devices = {parameter.device.index for parameter in model.parameters() if parameter.device.type == "cuda"}
    owners = (loader, getattr(loader, "sampler", None))
    sources = {id(g): g for owner in owners if isinstance(g := getattr(owner, "generator", None), torch.Generator)}
    states = [(source, source.get_state()) for source in sources.values()]
    of_python, of_numpy = random.getstate(), np.random.get_state()
    # Hooks are not seen by what was compiled before them. Without Dynamo, slow to load, nothing is compiled.
    eager = torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=sorted(devices)), eager:
            model.eval()
            yield
    finally:
        for module, mode in modes:
            module.training = mode
        for source, state in states:
            source.set_state(state)
        random.setstate(of_python)
        np.random.set_state(of_numpy)
