"""A sweep is killed, its parts are damaged, its disk is full: every finished configuration is there exactly once."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("filelock")
pytest.importorskip("duckdb")

import sweep_toy
from tightframe.papers.sweeps.driver import drive
from tightframe.papers.sweeps.folder import Busy, Folder, Unwritable, query
from tightframe.papers.sweeps.workers import Outcome

TOY = Path(sweep_toy.__file__)
LINUX = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc, by which children are found")


class Here:
    """Batches run at once, in this process; the text says nothing."""

    capacity, text = 3, ""

    def __init__(self, fail_at: int = -1, interrupt_after: int = -1, keep: bool = True) -> None:
        self.queue: list[tuple[int, ...]] = []
        self.ran: list[tuple[int, ...]] = []
        self.fail_at, self.interrupt_after, self.keep = fail_at, interrupt_after, keep

    def submit(self, batch: tuple[int, ...]) -> None:
        self.queue.append(batch)

    def finished(self, timeout: float) -> list[Outcome]:
        if len(self.ran) == self.interrupt_after:
            raise KeyboardInterrupt
        batch = self.queue.pop(0)
        if self.fail_at in batch:
            return [Outcome(batch, None)]
        if self.keep:
            self.ran.append(batch)
        return [Outcome(batch, {"configuration": list(batch), "value": [sweep_toy.value(each) for each in batch]})]

    def close(self) -> None: ...


def start(root: Path, count: int = sweep_toy.COUNT, *more: str) -> subprocess.Popen[bytes]:
    """A driver, which says on its way what goes wrong into a file."""
    command = [sys.executable, str(TOY), str(root), str(count), *more]
    with errors(root).open("wb") as file:
        return subprocess.Popen(command, stderr=file, start_new_session=True)


def errors(root: Path) -> Path:
    return root.with_name(f"{root.name}.errors")


def children(pid: int) -> list[int]:
    """Of all threads: those of Dask start processes too."""
    found: list[int] = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, listed.read_text().split())
    return found


def runs_toy(pid: int) -> bool:
    """Whether this process is a worker, not a helper of multiprocessing."""
    with suppress(OSError):
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def family(pid: int) -> list[int]:
    """The workers of a driver, of any generation."""
    found = [each for child in children(pid) for each in (child, *family(child))]
    return [each for each in found if runs_toy(each)]


def alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def until(condition: Any, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def parts(root: Path) -> list[Path]:
    return Folder(root, sweep_toy.KEY).parts


def rows(root: Path) -> list[tuple[int, float]]:
    table = query(parts(root), "SELECT configuration, value FROM results ORDER BY configuration")
    return list(zip(*(table.column(name).to_pylist() for name in table.column_names), strict=True))


def undisturbed(count: int) -> list[tuple[int, float]]:
    return [(number, sweep_toy.value(number)) for number in range(count)]


def finish(root: Path, count: int = sweep_toy.COUNT) -> Here:
    """Run what is missing, here."""
    workers, folder = Here(), Folder(root, sweep_toy.KEY)
    folder.acquire()
    try:
        drive(folder, count, lambda done: sweep_toy.batches(count), workers)
    finally:
        folder.release()
    return workers


def disturbed(root: Path, count: int, kills: Sequence[str], seed: int, *more: str) -> int:
    """Kill drivers and workers at random points, in this order, and run to the end; how many kills hit."""
    dice, hit = random.Random(seed), 0
    driver = start(root, count, *more)
    for victim in kills:
        before = len(parts(root))
        if not until(lambda: len(parts(root)) > before or driver.poll() is not None):  # noqa: B023
            raise AssertionError("no part came")
        time.sleep(dice.uniform(0, 0.15))
        if driver.poll() is not None:
            break
        workers = family(driver.pid)
        if victim == "driver":
            driver.kill()
            driver.wait()
            assert until(lambda: not any(map(alive, workers))), "workers outlived their driver"  # noqa: B023
            check_so_far(root)
            driver = start(root, count, *more)
        else:
            with suppress(OSError):
                os.kill(dice.choice(workers), signal.SIGKILL)
        hit += 1
    assert driver.wait(120) == 0, errors(root).read_text()
    return hit


def check_so_far(root: Path) -> None:
    """What is finished at any time is right, and there once."""
    if parts(root):
        found = rows(root)
        assert found == [(number, sweep_toy.value(number)) for number, _ in found]
        assert len({number for number, _ in found}) == len(found)


# Enough configurations for all kills: a part, of a tenth of a second, comes between any two.
@LINUX
def test_twenty_random_kills_of_drivers_and_workers_lose_and_double_nothing(tmp_path: Path) -> None:
    dice = random.Random(0)
    kills = ["driver"] * 5 + ["worker"] * 16
    dice.shuffle(kills)
    hit = disturbed(tmp_path, 1600, kills, 0)
    assert hit >= 20
    assert rows(tmp_path) == undisturbed(1600)


@LINUX
def test_kills_on_a_dask_cluster_lose_and_double_nothing(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    hit = disturbed(tmp_path, 900, ["worker", "driver", "worker", "worker"], 1, "dask")
    assert hit == 4
    assert rows(tmp_path) == undisturbed(900)


@LINUX
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_twenty_random_kills_on_a_dask_cluster(tmp_path: Path, seed: int) -> None:
    pytest.importorskip("distributed")
    dice = random.Random(seed)
    kills = ["driver"] * 6 + ["worker"] * 15
    dice.shuffle(kills)
    hit = disturbed(tmp_path, 6000, kills, seed, "dask")
    assert hit >= 20
    assert rows(tmp_path) == undisturbed(6000)


@LINUX
def test_the_second_driver_says_so_and_the_first_goes_on(tmp_path: Path) -> None:
    first = start(tmp_path, 300)
    assert until(lambda: (tmp_path / "lock").exists() and parts(tmp_path))
    second = start(tmp_path, 300)
    assert second.wait(60) == 2
    held = f"another process runs a sweep in {tmp_path}; wait for it, or choose --out DIR"
    assert errors(tmp_path).read_text() == f"tightframe: {held}\n"
    assert first.wait(60) == 0
    assert rows(tmp_path) == undisturbed(300)


def test_a_lock_is_held_once_and_free_when_released(tmp_path: Path) -> None:
    one, two = Folder(tmp_path, "a"), Folder(tmp_path, "b")  # of two specs: one folder all the same
    one.acquire()
    with pytest.raises(Busy):
        two.acquire()
    one.release()
    two.acquire()
    two.release()


@pytest.mark.parametrize("damage", ["truncated", "changed", "empty", "foreign"])
def test_a_damaged_part_is_seen_and_what_it_had_is_run_again(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    finish(tmp_path, 40)
    expected = rows(tmp_path)
    (first,) = parts(tmp_path)[:1]
    content = first.read_bytes()
    if damage == "foreign":
        folder = Folder(tmp_path, "other")
        folder.acquire()
        other = folder.write({"configuration": [0], "value": [-1.0]})
        folder.release()
        other.replace(first.with_name(other.name))
    else:
        middle = len(content) // 2
        bad = {"truncated": content[:middle], "empty": b""}
        first.write_bytes(bad.get(damage, content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]))
    again = finish(tmp_path, 40)
    assert bool(again.ran) == (damage != "foreign")
    assert "set aside" in capsys.readouterr().err
    assert rows(tmp_path) == expected == undisturbed(40)


def test_a_configuration_that_is_in_two_parts_counts_once(tmp_path: Path) -> None:
    finish(tmp_path, 12)
    folder = Folder(tmp_path, sweep_toy.KEY)
    folder.write({"configuration": [3], "value": [sweep_toy.value(3)]})
    assert len(rows(tmp_path)) == 13  # it could be read twice
    finish(tmp_path, 12)
    assert rows(tmp_path) == undisturbed(12)


def test_what_a_killed_driver_was_writing_is_removed(tmp_path: Path) -> None:
    finish(tmp_path, 8)
    left = tmp_path / sweep_toy.KEY / ".part-0.parquet.abc"
    left.write_bytes(b"half")
    finish(tmp_path, 8)
    assert not left.exists()


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of 64 kB, where this user may mount one."""
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("may not mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_line_and_finished_parts_stay(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk):
        (disk / "ballast").write_bytes(bytes(36 * 1024))
        folder = Folder(disk, sweep_toy.KEY)
        folder.acquire()
        with pytest.raises(Unwritable, match=r"cannot write .* \(No space left on device\); finished parts are kept"):
            drive(folder, 10**6, lambda done: sweep_toy.batches(10**6), Here(), every=0)
        folder.release()
        check_so_far(disk)
        kept = len(rows(disk))
        assert kept > 0
        assert not list((disk / sweep_toy.KEY).glob(".*"))
        (disk / "ballast").unlink()
        finish(disk, kept + 4)
        assert rows(disk) == undisturbed(kept + 4)


def test_a_quota_is_one_line_and_finished_parts_stay(tmp_path: Path) -> None:
    finish(tmp_path, 8)
    folder, limits = Folder(tmp_path, sweep_toy.KEY), resource.getrlimit(resource.RLIMIT_FSIZE)
    folder.acquire()
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))  # bytes of a file
    try:
        with pytest.raises(Unwritable, match=r"cannot write .*; finished parts are kept"):
            drive(folder, 20, lambda done: sweep_toy.batches(20), Here())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        folder.release()
    assert rows(tmp_path) == undisturbed(8)
    finish(tmp_path, 20)
    assert rows(tmp_path) == undisturbed(20)


def test_an_interrupt_keeps_what_has_come_back_and_the_next_run_goes_on(tmp_path: Path) -> None:
    folder = Folder(tmp_path, sweep_toy.KEY)
    folder.acquire()
    told = drive(folder, 40, lambda done: sweep_toy.batches(40), Here(interrupt_after=3))
    folder.release()
    assert (told.interrupted, told.now, told.before) == (True, 12, 0)
    assert rows(tmp_path) == undisturbed(12)
    assert sum(map(len, finish(tmp_path, 40).ran)) == 28
    assert rows(tmp_path) == undisturbed(40)


def test_a_batch_that_kills_whoever_runs_it_ends_the_sweep(tmp_path: Path) -> None:
    folder = Folder(tmp_path, sweep_toy.KEY)
    folder.acquire()
    with pytest.raises(ValueError, match="the batch of configuration 8 failed: what ran it died 10 times"):
        drive(folder, 40, lambda done: sweep_toy.batches(40), Here(fail_at=9))
    folder.release()
    assert {number for number, _ in rows(tmp_path)} == {*range(40)} - {*range(8, 12)}


def test_the_memory_of_the_driver_is_that_of_what_is_under_way(tmp_path: Path) -> None:
    """A byte for each configuration, and one batch: ten times as many configurations add what their bytes add."""

    def peak(count: int) -> int:
        folder, workers = Folder(tmp_path / str(count), sweep_toy.KEY), Here(keep=False)
        folder.acquire()
        tracemalloc.start()
        try:
            drive(
                folder, count, lambda done: (tuple(range(n, n + 500)) for n in range(0, count, 500)), workers, every=0
            )
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            folder.release()

    peak(5_000)  # what is loaded on first use
    small, large = peak(20_000), peak(200_000)
    assert large - small < 180_000 + 300_000


def test_the_checks_of_this_file_see_a_lost_and_a_doubled_row(tmp_path: Path) -> None:
    finish(tmp_path, 40)
    for change in ({"configuration": [41], "value": [0.0]}, {"configuration": [3], "value": [sweep_toy.value(3)]}):
        extra = Folder(tmp_path, sweep_toy.KEY).write(change)
        with pytest.raises(AssertionError):
            check_so_far(tmp_path)
        extra.unlink()
    parts(tmp_path)[0].unlink()
    assert not parts(tmp_path) or rows(tmp_path) != undisturbed(40)
