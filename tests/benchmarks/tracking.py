"""Row 11: what a tracker of collapse costs a training on digits that measures every so many updates."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from run import Comparison, Contender
from tightframe.numerics import images, networks
from tightframe.numerics.training import CollapseTracker

ROWS = (11,)
EVERY, EPOCHS, SAMPLES, BATCH = (100, 20), 50, 1000, 64


def train(data: images.Images, every: int | None) -> CollapseTracker | None:
    """A plain loop of SGD, and the tracker, if it was asked for."""
    model = networks.perceptron(data.shape, classes=10, seed=0)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    loader = [(data.values, data.labels)]
    options = {"head": "head", "layer": "backbone", "weight_decay": 5e-4}
    tracker = None if every is None else CollapseTracker(model, loader, every=every, **options)
    source = torch.Generator().manual_seed(0)
    for _ in range(EPOCHS):
        for index in torch.randperm(len(data.labels), generator=source).split(BATCH):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model(data.values[index]), data.labels[index]).backward()
            optimiser.step()
            if tracker is not None:
                tracker.step()
    return tracker


def comparisons() -> Iterator[Comparison]:
    torch.set_num_threads(1)
    data = images.digits().subset((SAMPLES // 10,) * 10, 0)
    updates = EPOCHS * -(-SAMPLES // BATCH)

    def share() -> str:
        began = time.perf_counter()
        train(data, None)
        epoch = (time.perf_counter() - began) / EPOCHS
        found = {every: train(data, every) for every in EVERY}
        parts = [
            f"every {every} updates: {1e3 * tracker.seconds / len(tracker.series('cdnv')[0]):.3g} ms a measurement"
            for every, tracker in found.items()
            if tracker is not None
        ]
        return f"{updates} updates of {BATCH} samples, {1e3 * epoch:.3g} ms an epoch. {'; '.join(parts)}."

    yield Comparison(
        11,
        f"a perceptron on {SAMPLES} digits, {EPOCHS} epochs, two layers tracked on all samples",
        "none: the training is the same to the last bit; the ratio is below 1 by what the tracker costs",
        "a measurement no dearer than two epochs",
        (
            Contender("the training alone", lambda: train(data, None)),
            *(Contender(f"tracked every {every} updates", lambda e=every: train(data, e)) for every in EVERY),
        ),
        share,
    )
