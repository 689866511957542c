"""The engines on a GPU: the same results as on a CPU, how fast, and what bounds them.

    python3 -m numerics.gpu_check          # from the root of the repository; needs torch and numpy, and no install

Rates are set against what this GPU was just measured to copy and to multiply: the time that the bytes and the
operations of the work take at those rates, over the time it took. A run of its own is bound by the launches of its
kernels; batches should come near to the traffic of their memory. Exit code 1 if a result differs by more than its
tolerance; 0, with a line that says so, where there is no GPU.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from . import descent, initialisers, minimisation
from .deep_linear import DeepLinearUFM, Factors
from .runs import FLOOR
from .simulations import MINIMA
from .sweep import batch_size

__all__ = ["Agreement", "Rates", "Throughput", "agreements", "main", "measured_rates", "throughputs"]

COUNTS, WIDTH, DECAY, RATE, MOMENTUM = (200, 100, 50, 50), 64, 5e-4, 0.1, 0.9  # the experiment of Dang et al. 2023
REPEATS = 3


@dataclass(frozen=True)
class Agreement:
    """How far a result on the device is from that on the CPU in float64, and how far it may be."""

    name: str
    difference: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether it is within its tolerance; NaN is not."""
        return self.difference <= self.tolerance


@dataclass(frozen=True)
class Rates:
    """What a device does at best: bytes a second read and written, operations a second of matrix products."""

    copy: float
    float64: float
    float32: float


@dataclass(frozen=True)
class Throughput:
    """Some work in a batch: its time, and the times that its bytes and its operations take at the measured rates."""

    name: str
    batch: int
    seconds: float
    of_bytes: float
    of_operations: float

    @property
    def share(self) -> float:
        """Of the bound: 1 where the work takes as long as its traffic or its operations must."""
        return max(self.of_bytes, self.of_operations) / self.seconds


def seconds(work: Callable[[], object], device: torch.device, repeats: int = REPEATS) -> float:
    """The shortest time of some calls, after one that is not counted."""
    found = []
    for _ in range(repeats + 1):
        _wait(device)
        began = time.perf_counter()
        work()
        _wait(device)
        found.append(time.perf_counter() - began)
    return min(found[1:])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


# ------------------------------------------------------------------------------------------------- the same results


def _ends(model: DeepLinearUFM, start: Factors, device: torch.device, dtype: torch.dtype, iterations: int) -> Factors:
    moved = start.map(lambda tensor: tensor.to(device, dtype))
    momentum = MOMENTUM if model.loss == "mse" else 0.0
    found = descent.gradient_descent(model, moved, iterations, RATE, momentum)
    return found.value.factors.map(lambda tensor: tensor[-1].double().cpu())


def _distance(found: Factors, expected: Factors) -> float:
    """The largest difference of an entry, over the largest entry."""
    pairs = zip(found.tensors, expected.tensors, strict=True)
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)


def agreements(device: torch.device, iterations: int = 300, runs: int = 16, starts: int = 8) -> Iterator[Agreement]:
    """The engines in float64, and gradient descent in float32, against the CPU in float64."""
    cpu = torch.device("cpu")
    for loss, depth in (("mse", 1), ("mse", 3), ("ce", 3)):
        model = DeepLinearUFM(COUNTS, WIDTH, depth, DECAY, loss="ce" if loss == "ce" else "mse")
        start = initialisers.gaussian(model, 0, 0.1, (runs,))
        expected = _ends(model, start, cpu, torch.float64, iterations)
        name = f"gradient descent, {loss}, M = {depth}"
        found = _ends(model, start, device, torch.float64, iterations)
        yield Agreement(f"{name}, float64", _distance(found, expected), 1e-9)
        found = _ends(model, start, device, torch.float32, iterations)
        yield Agreement(f"{name}, float32", _distance(found, expected), 1e-4)
    model = DeepLinearUFM((300, 300, 300, 30), 8, 2, 1.0)
    lam = torch.logspace(-3.5, -1.5, runs, dtype=torch.float64).unsqueeze(-1).expand(-1, 3)
    start = minimisation.starts_of_sizes(model, 0, starts, minimisation.SIZES, lam)
    expected_minima = minimisation.least_of(model, start, lam)
    for dtype, tolerance, rtol, near in (
        (torch.float64, minimisation.TOLERANCE, minimisation.SAME, 1e-10),
        (torch.float32, FLOOR, FLOOR, 1e-4),
    ):
        moved = start.map(lambda tensor, dtype=dtype: tensor.to(device, dtype))
        found_minima = minimisation.least_of(model, moved, lam.to(device, dtype), tolerance, rtol=rtol)
        error = found_minima.stats.loss.double().cpu() / expected_minima.stats.loss - 1
        certain = found_minima.value.certain.cpu() & expected_minima.value.certain
        name = f"global minima of {int(certain.sum())} of {runs} configurations, {str(dtype).removeprefix('torch.')}"
        worst = float(error[certain].abs().max()) if bool(certain.any()) else float("nan")
        yield Agreement(name, worst, near)


# ------------------------------------------------------------------------------------------------------- roofline


def measured_rates(device: torch.device, size: int = 2**27, rows: int = 8192) -> Rates:
    """Rates of a copy of so many float64 numbers, and of products of square matrices."""

    def copied() -> float:
        source = torch.zeros(size, dtype=torch.float64, device=device)
        target = torch.empty_like(source)
        return 16 * size / seconds(lambda: target.copy_(source), device)

    def product(dtype: torch.dtype) -> float:
        matrix = torch.ones(rows, rows, dtype=dtype, device=device)
        out = torch.empty_like(matrix)
        return 2 * rows**3 / seconds(lambda: torch.mm(matrix, matrix, out=out), device)

    return Rates(copied(), product(torch.float64), product(torch.float32))


def traffic_and_operations(depth: int, columns: int) -> tuple[float, float]:
    """Numbers read and written, and operations, of one iteration of one run with momentum, at the least.

    Every entry of the state and of the velocity is read and written once, and read once more for products.
    """
    classes = len(COUNTS)
    weights = WIDTH * WIDTH * (depth - 1) + classes * WIDTH
    entries = weights + WIDTH * columns
    products = 2 * classes * WIDTH * WIDTH * (depth - 1) * 3 + 2 * classes * WIDTH * columns * 3
    return 5.0 * entries, products + 4.0 * entries


def throughputs(
    device: torch.device, rates: Rates, batches: Sequence[int], iterations: int = 100
) -> Iterator[Throughput]:
    """Gradient descent of the experiment of Dang et al. 2023, float64, and global minima, in batches."""
    for depth in (1, 3):
        model = DeepLinearUFM(COUNTS, WIDTH, depth, DECAY)
        columns = len(COUNTS) + min(WIDTH, sum(COUNTS) - len(COUNTS))
        numbers, operations = traffic_and_operations(depth, columns)
        one = initialisers.gaussian(model, 0, 0.1, (1,)).map(lambda tensor: tensor.to(device))
        for batch in batches:
            start = one.map(lambda tensor, batch=batch: tensor.expand(batch, *tensor.shape[1:]).contiguous())

            def work(start: Factors = start, made: int = iterations) -> object:
                return descent.gradient_descent(model, start, made, RATE, MOMENTUM)  # noqa: B023

            # Without what comes before and after the iterations.
            spent = seconds(lambda: work(made=2 * iterations), device) - seconds(work, device)
            yield Throughput(
                f"gradient descent, M = {depth}",
                batch,
                max(spent, 1e-9) / iterations,
                8 * numbers * batch / rates.copy,
                operations * batch / rates.float64,
            )
    told = {"class_counts": (300, 300, 300, 30), "widths": 8, "depth": 2, "starts": 24}
    model = DeepLinearUFM(told["class_counts"], 8, 2, 1.0)
    for batch in batches:
        configurations = max(1, min(batch // told["starts"], batch_size(MINIMA, told, device.type)))
        lam = torch.logspace(-3.5, -1.5, configurations, dtype=torch.float64, device=device)
        lam = lam.unsqueeze(-1).expand(-1, 3)
        start = minimisation.starts_of_sizes(model, 0, told["starts"], minimisation.SIZES, lam)
        found = minimisation.least_of(model, start, lam)
        evaluations = float(found.stats.evaluations.double().mean())
        spent = seconds(lambda: minimisation.least_of(model, start, lam), device, 1)  # noqa: B023
        runs = configurations * told["starts"]
        entries = 8 * 8 + 4 * 8
        yield Throughput(
            "global minima, M = 2, whole searches",
            runs,
            spent,
            8 * runs * evaluations * entries * (4 * 10 + 10) / rates.copy,  # ten pairs, read twice
            runs * evaluations * entries * (8 * 10 + 40) / rates.float64,
        )


# --------------------------------------------------------------------------------------------------------- report


def report(
    device: torch.device, name: str, batches: Sequence[int], rates: Rates, found: Sequence[Agreement]
) -> tuple[str, dict[str, Any]]:
    """The figures as text (Markdown) and as JSON."""
    lines = [
        f"GPU: {name}; torch {torch.__version__}. Measured: copy {rates.copy / 1e9:.4g} GB/s, "
        f"matrix products {rates.float64 / 1e12:.3g} TFLOP/s in float64 and {rates.float32 / 1e12:.3g} in float32.",
        "",
        "| result against the CPU in float64 | difference | tolerance | |",
        "|---|---|---|---|",
        *(
            f"| {each.name} | {each.difference:.1e} | {each.tolerance:.0e} | {'holds' if each.holds else 'FAILS'} |"
            for each in found
        ),
        "",
        "| work | batch | time | bytes alone | operations alone | share of the bound |",
        "|---|---|---|---|---|---|",
    ]
    rows = list(throughputs(device, rates, batches))
    lines += [
        f"| {row.name} | {row.batch} | {1e6 * row.seconds:.4g} us | {1e6 * row.of_bytes:.3g} us | "
        f"{1e6 * row.of_operations:.3g} us | {row.share:.1%} |"
        for row in rows
    ]
    told = {
        "device": name,
        "torch": torch.__version__,
        "rates": asdict(rates),
        "agreements": [asdict(each) | {"holds": each.holds} for each in found],
        "throughput": [asdict(row) | {"share": row.share} for row in rows],
    }
    return "\n".join(lines), told


NONE = "no GPU: torch sees no CUDA device, so nothing was checked"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures of this machine's GPU; the exit code."""
    parser = argparse.ArgumentParser(prog="gpu_check", description="The engines on a GPU against a CPU.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print(json.dumps({"device": None}) if options.json else NONE)
        return 0
    device = torch.device("cuda")
    torch.set_num_threads(1)
    found = list(agreements(device))
    text, told = report(device, torch.cuda.get_device_name(device), (1, 64, 1024, 8192), measured_rates(device), found)
    print(json.dumps(told, indent=1) if options.json else text)
    return 0 if all(each.holds for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
