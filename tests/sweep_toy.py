"""A sweep of nothing heavy, to be killed: python sweep_toy.py FOLDER COUNT [dask]. A configuration takes 10 ms."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

COUNT, SIZE, SECONDS = 240, 4, 0.01
KEY = "toy"


def value(number: int) -> float:
    return (number * 7919 % 1009) / 7.0


def task(text: str, batch: tuple[int, ...]) -> dict[str, list[Any]]:
    time.sleep(SECONDS * len(batch))
    return {"configuration": list(batch), "value": [value(number) for number in batch]}


def batches(count: int) -> Iterator[tuple[int, ...]]:
    for first in range(0, count, SIZE):
        yield tuple(range(first, min(first + SIZE, count)))


def main(root: Path, count: int, dask: bool) -> int:
    from sweep_toy import task  # importable by workers, which __main__ is not
    from tightframe.papers.sweeps.driver import drive
    from tightframe.papers.sweeps.folder import Folder
    from tightframe.papers.sweeps.workers import Cluster, Processes

    folder = Folder(root, KEY)
    workers = Cluster(task, count=2) if dask else Processes(2, task)
    try:
        folder.acquire()
        drive(folder, count, lambda done: batches(count), workers, every=0.1)
    except ValueError as error:
        print(f"tightframe: {error}", file=sys.stderr)
        return 2
    finally:
        folder.release()
        workers.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), "dask" in sys.argv))
