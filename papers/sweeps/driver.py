"""The driver of a sweep: hands out batches, takes rows back, and alone writes them.

It holds what is under way and a byte for every configuration, so that a million of them take no memory to speak of. It
may be killed anywhere, and so may those who run the batches: rows that are in no part are run again, and come out the
same.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from .folder import Folder
    from .workers import Batch, Workers

EVERY = 2.0  # seconds between parts
POLL = 0.25  # seconds that the driver waits for a batch
ATTEMPTS = 10  # times that a batch may be lost

Columns = dict[str, list[Any]]
Progress = Callable[[int], None]


class Lost(ValueError):
    """A batch failed, or what ran it died too often."""


@dataclass(frozen=True)
class Driven:
    """Configurations: all, those that were finished before, and now; of these, those without numbers, and those that
    did not converge.
    """

    configurations: int
    before: int
    now: int
    seconds: float
    interrupted: bool
    failed: int = 0
    unconverged: int = 0


def drive(
    folder: Folder,
    count: int,
    batches: Callable[[np.ndarray], Iterator[Batch]],
    workers: Workers,
    progress: Progress = lambda finished: None,
    every: float = EVERY,
) -> Driven:
    """Run what is in no part yet, of `count` configurations; `batches(done)` are those that may be missing.

    The first rows are written at once, others every few seconds, and at the end. Ctrl-C ends it with what has come back
    written. The caller holds the folder's lock.

    Raises:
        Lost: if a batch fails, or is lost too often; finished rows are written.
        Unwritable: if a part cannot be written; what is written stays.
    """
    done = folder.finished(count)
    before = int(done.sum())
    progress(before)
    missing = (batch for batch in batches(done) if not done[list(batch)].all())
    writer = _Writer(folder, done, every)
    again: deque[Batch] = deque()
    times_lost: dict[Batch, int] = {}
    under_way, began, interrupted = 0, time.monotonic(), False
    try:
        while True:
            while under_way < workers.capacity:
                batch = again.popleft() if again else next(missing, None)
                if batch is None:
                    break
                workers.submit(batch)
                under_way += 1
            if not under_way:
                break
            for outcome in workers.finished(POLL):
                under_way -= 1
                if outcome.columns is not None:
                    times_lost.pop(outcome.batch, None)
                    writer.add(outcome.columns)
                    continue
                times_lost[outcome.batch] = times_lost.get(outcome.batch, 0) + 1
                if outcome.failure or times_lost[outcome.batch] >= ATTEMPTS:
                    writer.write()
                    reason = outcome.failure or f"what ran it died {ATTEMPTS} times"
                    where = f"the batch of configuration {outcome.batch[0]} failed"
                    raise Lost(f"{where}: {reason}; finished parts are kept")
                again.append(outcome.batch)
            writer.write_if_due()
            progress(before + writer.rows)
    except KeyboardInterrupt:
        interrupted = True
    writer.write()
    progress(before + writer.rows)
    spent = time.monotonic() - began
    return Driven(count, before, writer.rows, spent, interrupted, writer.failed, writer.unconverged)


class _Writer:
    """Rows that wait to be written, for a few seconds at most."""

    def __init__(self, folder: Folder, done: np.ndarray, every: float) -> None:
        self.folder, self.done, self.every = folder, done, every
        self.waiting: list[Columns] = []
        self.rows, self.failed, self.unconverged, self.last = 0, 0, 0, -math.inf

    def add(self, columns: Columns) -> None:
        """Rows of a batch, less those that were there already."""
        fresh = [place for place, number in enumerate(columns["configuration"]) if not self.done[number]]
        if not fresh:
            return
        kept = {name: [column[place] for place in fresh] for name, column in columns.items()}
        self.done[kept["configuration"]] = True
        self.rows += len(fresh)
        self.failed += sum(error is not None for error in kept.get("error", ()))
        self.unconverged += sum(converged is False for converged in kept.get("converged", ()))
        self.waiting.append(kept)

    def write_if_due(self) -> None:
        if self.waiting and time.monotonic() - self.last >= self.every:
            self.write()

    def write(self) -> None:
        """Write what waits, as one part."""
        if not self.waiting:
            return
        names = dict.fromkeys(name for columns in self.waiting for name in columns)
        joined: Columns = {name: [] for name in names}
        for columns in self.waiting:
            length = len(columns["configuration"])
            for name, values in joined.items():
                values += columns.get(name, [None] * length)
        self.folder.write(joined)
        self.waiting.clear()
        self.last = time.monotonic()
