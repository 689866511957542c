"""Who runs the batches of a sweep: processes of this machine, or a Dask cluster.

Both take a batch and give it back with its columns, or as lost if what ran it has died; the driver then asks again.
Nothing but the driver writes, so that a batch which two workers have run still counts once.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
QUEUED = 2  # batches that a worker has at a time: the one that it runs and the next
CONNECT = 10.0  # seconds within which a scheduler answers

Batch = tuple[int, ...]
Task = Callable[[str, Batch], dict[str, list[Any]]]


@dataclass(frozen=True)
class Outcome:
    """A batch with its columns; lost if `columns` is None, and then `failure` says of what, if it was no death."""

    batch: Batch
    columns: dict[str, list[Any]] | None
    failure: str = ""


class Workers(Protocol):
    """What the driver asks of them."""

    @property
    def capacity(self) -> int:
        """Batches that may be out at a time."""

    def submit(self, batch: Batch) -> None: ...

    def finished(self, timeout: float) -> list[Outcome]:
        """What has come back, after at most so many seconds."""

    def close(self) -> None: ...

    text: str


# ---------------------------------------------------------------------------------------------------- processes


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that are started meanwhile load numpy and torch with one thread."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes that are started meanwhile ignore Ctrl-C, which is for the driver."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@dataclass
class _Member:
    """A process, our end of its pipe, and the batches that it has."""

    process: BaseProcess
    pipe: Connection
    batches: deque[Batch] = field(default_factory=deque)


class Processes:
    """So many processes of this machine, one thread each; one that dies is replaced, its batches are lost.

    `task(text, batch)` is what they run, `text` being set before the first batch; `warm()` is what they do meanwhile.
    """

    def __init__(self, count: int, task: Task, warm: Callable[[], object] | None = None) -> None:
        self.task, self.warm, self.text = task, warm, ""
        # The others start with the first batch: where cores are few, all at once would slow down the driver.
        self.count, self.members = count, [self._started()]

    @property
    def capacity(self) -> int:
        return QUEUED * self.count

    def _started(self) -> _Member:
        from multiprocessing import get_context

        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self.task, self.warm), daemon=True)
        with _one_thread_each():
            process.start()
        theirs.close()
        return _Member(process, ours)

    def submit(self, batch: Batch) -> None:
        self.members += [self._started() for _ in range(self.count - len(self.members))]
        member = min(self.members, key=lambda each: len(each.batches))
        member.batches.append(batch)
        with suppress(OSError):  # it has died: `finished` sees that
            member.pipe.send((self.text, batch))

    def finished(self, timeout: float) -> list[Outcome]:
        from multiprocessing.connection import wait

        found: list[Outcome] = []
        ready: Sequence[object] = wait([member.pipe for member in self.members], timeout)
        for place, member in enumerate(self.members):
            if member.pipe not in ready:
                continue
            try:
                columns, failure = member.pipe.recv()
            except (EOFError, OSError):
                found += [Outcome(batch, None) for batch in member.batches]
                self._end(member)
                self.members[place] = self._started()
            else:
                found.append(Outcome(member.batches.popleft(), columns, failure))
        return found

    def _end(self, member: _Member) -> None:
        member.pipe.close()
        member.process.kill()
        member.process.join()

    def close(self) -> None:
        for member in self.members:
            self._end(member)


def _serve(pipe: Connection, task: Task, warm: Callable[[], object] | None) -> None:
    """The life of a process: batches in, columns out, until the driver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the driver
    threading.Thread(target=_end_with_the_driver, daemon=True).start()
    if warm is not None:
        warm()
    with suppress(EOFError, OSError):
        while True:
            text, batch = pipe.recv()
            try:
                answer = task(text, batch), ""
            except Exception as error:  # a failure is an answer
                answer = None, " ".join(f"{type(error).__name__}: {error}".split())[:300]
            pipe.send(answer)


def _end_with_the_driver() -> None:
    from multiprocessing import parent_process

    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


# ------------------------------------------------------------------------------------------------- Dask distributed


class Unreachable(ValueError):
    """There is no scheduler at the address."""


class Cluster:
    """The workers of a Dask scheduler: at an address, or so many that are started here and end with us."""

    def __init__(self, task: Task, address: str | None = None, count: int = 0) -> None:
        self.task, self.text = task, ""
        self.futures: dict[Any, Batch] = {}
        try:
            from distributed import Client, LocalCluster
        except ImportError:
            raise ValueError("a cluster needs dask: pip install 'tightframe[sweep]'") from None
        import logging

        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # a worker that dies is no news: batches are redone
        self.local: Any = None
        if address is None:
            with _one_thread_each(), _deaf_to_interrupts():
                self.local = LocalCluster(
                    n_workers=count,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=None,
                    silence_logs=logging.CRITICAL,
                )
            self.client = Client(self.local, timeout=CONNECT)
            return
        try:
            self.client = Client(address, timeout=CONNECT, name="tightframe")
        except (OSError, ValueError, TimeoutError) as error:
            raise Unreachable(
                f"cannot reach a Dask scheduler at {address} ({' '.join(str(error).split())[:120] or 'no answer'})"
            ) from None

    @property
    def capacity(self) -> int:
        return QUEUED * max(1, sum(self.client.nthreads().values()))

    def submit(self, batch: Batch) -> None:
        future = self.client.submit(self.task, self.text, batch, pure=False, retries=2)
        self.futures[future] = batch

    def finished(self, timeout: float) -> list[Outcome]:
        from distributed import wait

        if self.futures:
            with suppress(TimeoutError):
                wait(list(self.futures), timeout=timeout, return_when="FIRST_COMPLETED")
        return [self._outcome(future) for future in [each for each in self.futures if each.done()]]

    def _outcome(self, future: Any) -> Outcome:
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        batch = self.futures.pop(future)
        try:
            return Outcome(batch, future.result(timeout=CONNECT))
        except (KilledWorker, FutureCancelledError, OSError, TimeoutError):
            return Outcome(batch, None)
        except Exception as error:
            return Outcome(batch, None, " ".join(f"{type(error).__name__}: {error}".split())[:300])
        finally:
            future.release()

    def close(self) -> None:
        with suppress(Exception):
            self.client.cancel(list(self.futures))
        with suppress(Exception):
            self.client.close(timeout=2)
        if self.local is not None:
            with suppress(Exception):
                self.local.close(timeout=5)


def cluster(text: str) -> int:
    """The number of workers in ``local:4``.

    Raises:
        ValueError: in one line, for anything else.
    """
    kind, _, number = text.partition(":")
    if kind != "local" or not (number.isascii() and number.isdigit()) or not 1 <= int(number) <= 1024:
        raise ValueError(f"expected --cluster local:N with N from 1 to 1024, got {text[:40]!r}")
    return int(number)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


__all__: Sequence[str] = ["Cluster", "Outcome", "Processes", "Unreachable", "Workers", "cluster", "cores"]
