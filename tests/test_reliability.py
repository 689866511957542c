"""What can go wrong while verifying: bad certificates, a full disk, two runs at once, forged records, kills.

Nothing that was finished is lost, nothing that was not checked is believed, and what the user sees is one line.
"""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from certificates import changed
from tightframe.papers import cli, registry, verification
from tightframe.papers import store as stores
from tightframe.papers.evidence import Evidence, Verdict
from tightframe.papers.store import Record, Store, shipped_certificate
from tightframe.papers.verification import standing, verify_claim

CLAIM, OTHER = "han2022/total-covariance", "tightframe/total-covariance"
SLOW = "han2022/snr-flow"


def run(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli.main(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def in_a_process(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a signal for it alone
    )


def verify_in_a_process(folder: Path, *names: str) -> subprocess.Popen[str]:
    return in_a_process("-m", "tightframe.papers.cli", "verify", *names, "--store", str(folder), "--json")


def records(folder: Path) -> list[dict[str, Any]]:
    """The key and evidence of every record, each readable by the store itself."""
    found = []
    for path in sorted(folder.glob("*.json")):
        data = json.loads(path.read_text())
        record = Store(folder).get(data["key"])
        assert record is not None, path
        found.append({"key": data["key"], "evidence": record.evidence})
    return found


# ------------------------------------------------------------------------------------------- certificates by verbs


def shipped(name: str = CLAIM) -> Any:
    found = shipped_certificate(name)
    assert found is not None
    return json.loads(json.dumps(found))


def nested(depth: int) -> Any:
    inner: Any = "x"
    for _ in range(depth):
        inner = [inner]
    return inner


def wider(document: Any) -> Any:
    """H gets a column more than Y has."""
    [place] = [i for i, entry in enumerate(document["letters"]) if entry["name"] == "Htilde"]
    return changed(document, ("letters", place, "cols"), [["1", {}], *document["letters"][place]["cols"]])


def relabelled(document: Any) -> Any:
    """The proof of the other claim, under this claim's name."""
    return {**shipped(OTHER), "claim": CLAIM}


def restated(document: Any) -> Any:
    """The other claim's statement on this claim's proof."""
    return {**document, "statement": shipped("han2022/ls-classifier")["statement"]}


def huge(document: Any) -> Any:
    return changed(document, ("steps", 0, "data", "cofactors", 0, "c"), "9" * 400)


# what is done to a certificate: (exit code, what the line says)
CHANGES: dict[str, tuple[Callable[[Any], Any], int, str]] = {
    "a list instead of an object": (lambda document: [document], 2, "not a certificate"),
    "steps that are a number": (lambda document: {**document, "steps": 7}, 2, "not a certificate"),
    "a format that is true": (lambda document: {**document, "format": True}, 2, "format 1"),
    "a statement that is missing": (lambda d: {k: v for k, v in d.items() if k != "statement"}, 2, "not a certificate"),
    "a number of 400 digits": (huge, 2, "not a certificate"),
    "a tree of depth 900": (lambda document: {**document, "statement": nested(900)}, 2, "not a certificate"),
    "sizes that clash": (wider, 2, "not a certificate"),
    "the proof of another claim": (relabelled, 1, "another statement"),
    "another statement on this proof": (restated, 2, ""),
    "no steps": (lambda document: {**document, "steps": []}, 1, "the last step is not the statement"),
    "a model of other sizes": (
        lambda document: changed(document, ("model", "parameters", "C"), "4"),
        1,
        "another size than declared",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_bad_certificate_is_one_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, expected, words = CHANGES[name]
    path = tmp_path / "certificate.json"
    path.write_text(json.dumps(change(shipped())))
    code, out, err = run("check", str(path), "--claim", CLAIM, capsys=capsys)
    said = (err if expected == 2 else out).strip()
    assert code == expected, (out, err)
    assert words in said
    assert said.startswith("tightframe: " if expected == 2 else "rejected: ")
    assert (out + err).count("\n") == 1
    assert "Traceback" not in out + err


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(shipped())[:-40],
        json.dumps(shipped()).replace('"format": 1', '"format": 1, "format": 1'),
        json.dumps(shipped()) + "{}",
        '{"a":' * 50_000,
    ],
    ids=["truncated", "a key twice", "two documents", "deep"],
)
def test_text_that_is_no_certificate_is_one_line(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "certificate.json"
    path.write_text(text, encoding="utf-8")
    code, out, err = run("check", str(path), capsys=capsys)
    assert (code, out) == (2, "")
    assert err.startswith("tightframe: ")
    assert err.count("\n") == 1


def test_a_bad_shipped_certificate_is_no_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``list`` and ``show`` answer from what is shipped: a wrong one leaves the claim open, an unreadable one too."""
    path = tmp_path / f"{CLAIM}.json"
    path.parent.mkdir()
    for text in (json.dumps(relabelled(shipped())), json.dumps(shipped())[:-9], "[]"):
        path.write_text(text)
        assert verification.recheck([CLAIM], tmp_path).problems
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(verification, "shipped_certificate", lambda name: shipped_certificate(name, tmp_path))
            assert standing(registry.find(CLAIM)).verdict is Verdict.OPEN


# --------------------------------------------------------------------------------------------------- a full disk


def full_after(writes: int) -> Callable[[Path, str], None]:
    """Writing records fails from some write on, as on a disk that fills up."""
    left = [writes]

    def write(path: Path, text: str) -> None:
        if not path.name.startswith(".writable"):
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        stores_write(path, text)

    return write


stores_write = stores.write_atomically


@pytest.mark.parametrize("writes", [0, 1, 2, 3])
def test_a_disk_that_fills_up_keeps_what_was_written(
    writes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two claims with two records each; the disk is full after some of them."""
    monkeypatch.setattr(stores, "write_atomically", full_after(writes))
    code, out, err = run("verify", CLAIM, OTHER, "--json", "--store", str(tmp_path), capsys=capsys)
    assert code == 2
    assert err.startswith(f"tightframe: cannot write to the store {tmp_path} (No space left on device)")
    assert err.count("\n") == 1
    assert len(records(tmp_path)) == writes
    assert [entry["id"] for entry in json.loads(out)] == [CLAIM] if writes >= 2 else out == ""
    assert not list(tmp_path.glob(".*"))


def test_after_the_disk_has_room_again_only_the_rest_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as full:
        full.setattr(stores, "write_atomically", full_after(3))
        assert run("verify", CLAIM, OTHER, "--store", str(tmp_path), capsys=capsys)[0] == 2
    computed: list[str] = []
    simulate = verification.simulate
    monkeypatch.setattr(
        verification, "simulate", lambda claim, *rest: (computed.append(claim.id), simulate(claim, *rest))[1]
    )
    assert run("verify", CLAIM, OTHER, "--store", str(tmp_path), capsys=capsys)[0] == 0
    assert computed == [OTHER]


def test_a_folder_without_permission_is_noticed_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def forbidden(path: Path, text: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def work(*arguments: object) -> None:
        raise AssertionError("worked before the store was tried")

    monkeypatch.setattr(stores, "write_atomically", forbidden)
    monkeypatch.setattr(verification, "prove", work)
    code, out, err = run("verify", CLAIM, "--store", str(tmp_path), capsys=capsys)
    assert (code, out) == (2, "")
    assert "Permission denied" in err
    assert err.count("\n") == 1


# ------------------------------------------------------------------------------------------------ forged records


def seconds_nan(record: Record) -> Record:
    return replace(record, evidence=replace(record.evidence, seconds=float("nan")))


def upgraded(record: Record) -> Record:
    """The outcome written over by hand, in whatever kind of record."""
    return replace(record, evidence=replace(record.evidence, outcome="accepted"))


def of_another_claim(record: Record) -> Record:
    return replace(record, certificate=shipped(OTHER))


def under_another_key(record: Record) -> Record:
    return replace(record, key={**record.key, "hash": "0" * 16})


def without_certificate(record: Record) -> Record:
    return replace(record, certificate=None)


@pytest.fixture
def filled(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    verify_claim(registry.find(CLAIM), store, budget=40)
    return store


def forge(store: Store, kind: str, change: Callable[[Record], Record]) -> None:
    """Put a changed record, with a right digest, where the real one lies."""
    [path] = store.folder.glob(f"*.{kind}.*.json")
    data = json.loads(path.read_text())
    record = Record(data["key"], Evidence.from_json(data["evidence"]), data["certificate"])
    forged = change(record)
    path.write_text(json.dumps(forged.json()))


@pytest.mark.parametrize("change", [of_another_claim, under_another_key, without_certificate])
def test_a_forged_proof_counts_for_nothing(filled: Store, change: Callable[[Record], Record]) -> None:
    claim = replace(registry.find(CLAIM), id=CLAIM)
    forge(filled, "proof", change)
    shown = standing(claim, filled)
    assert shown.verdict is Verdict.PROVED  # by the shipped certificate
    assert shown.certificate == shipped()
    assert verify_claim(claim, filled, budget=40).evidence[0].outcome == "accepted"


def test_a_failed_proof_is_not_upgraded_by_hand(filled: Store) -> None:
    """A claim that is false, with a record that says accepted and carries the proof of the true one."""
    claim = registry.find(CLAIM)
    false = replace(claim, statement=replace(claim.statement, right=2 * claim.statement.right))  # pyrefly: ignore[missing-attribute]
    key = {**verification._key(false, "proof", 0, 0)}
    piece = Evidence("proof", "star", "accepted", "whole domain", 0.1, "by hand")
    for certificate in (shipped(), None, {}, {"format": 1}):
        filled.put(Record(key, piece, certificate))
        assert verify_claim(false, filled, budget=5).verdict is Verdict.REFUTED


def test_a_simulation_cannot_be_turned_into_a_proof(filled: Store) -> None:
    """Of a claim without derivation, a record of simulation that says accepted."""
    claim = replace(registry.find(CLAIM), derive=None)
    forge(filled, "property", upgraded)
    [proof] = filled.folder.glob("*.proof.*.json")
    proof.unlink()
    assert verify_claim(claim, filled, budget=40).verdict is not Verdict.PROVED


@pytest.mark.parametrize("kind", ["proof", "property"])
def test_seconds_that_are_no_number_are_set_aside(filled: Store, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    forge(filled, kind, seconds_nan)
    standing_now = verify_claim(registry.find(CLAIM), filled, budget=40)
    assert standing_now.verdict is Verdict.PROVED
    assert all(piece.seconds >= 0 for piece in standing_now.evidence)  # NaN is not
    assert "set aside the corrupt store record" in capsys.readouterr().err


# ----------------------------------------------------------------------------------------------- other processes


def test_two_runs_on_one_store(tmp_path: Path) -> None:
    both = [verify_in_a_process(tmp_path, CLAIM) for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, "")
        assert [entry["verdict"] for entry in json.loads(out)] == ["proved"]
    assert [record["key"]["kind"] for record in records(tmp_path)] == ["proof", "property"]
    assert not list(tmp_path.glob(".*"))


STOPPABLE = """
import pathlib, signal, sys, time
from tightframe.papers import cli, verification

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background work inherits that it is ignored
right = verification.prove

def waits(claim, seed):
    if claim.id != {second!r}:
        return right(claim, seed)
    pathlib.Path({marker!r}).touch()
    time.sleep(120)

verification.prove = waits
sys.exit(cli.main(["verify", {first!r}, {second!r}, "--store", {folder!r}, "--json"]))
"""


def stopped_in_the_second_claim(folder: Path, sent: signal.Signals) -> tuple[int, str, str]:
    """A run over two claims, the second of which takes for ever, stopped in it."""
    marker = folder / "second"
    code = STOPPABLE.format(first=CLAIM, second=SLOW, marker=str(marker), folder=str(folder))
    process = in_a_process("-c", code)
    deadline = time.monotonic() + 60
    while not marker.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(sent)
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, out, err


def test_ctrl_c_ends_with_one_line_and_keeps_what_is_finished(tmp_path: Path) -> None:
    code, out, err = stopped_in_the_second_claim(tmp_path, signal.SIGINT)
    assert code == 3
    assert err == "tightframe: interrupted; finished evidence is kept\n"
    assert [entry["id"] for entry in json.loads(out)] == [CLAIM]
    assert {record["key"]["claim"] for record in records(tmp_path)} == {CLAIM}


def test_ctrl_c_in_another_verb_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the command line library turns into an exit code of its own says nothing."""

    def interrupted(*arguments: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("tightframe.papers.writing.documents.document", interrupted)
    code, out, err = run("derive", CLAIM, "--out", "never.md", capsys=capsys)
    assert (code, out, err) == (3, "", "tightframe: interrupted\n")


def _half(task: tuple[str, int]) -> str:
    """Work that ends its process for one of the tasks, as soon as the other is finished."""
    folder, number = Path(task[0]), task[1]
    if number == 0:
        (folder / "finished").touch()
        return "finished"
    while not (folder / "finished").exists():
        time.sleep(0.01)
    time.sleep(0.3)
    os._exit(1)


def test_what_other_workers_finished_is_not_lost(tmp_path: Path) -> None:
    results = verification.spread(_half, [(str(tmp_path), number) for number in (1, 0)], 2)
    assert next(results) == "finished"
    with pytest.raises(verification.WorkerEnded, match="1 of 2 claims are undecided"):
        next(results)


def test_a_killed_run_keeps_what_is_finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, _ = stopped_in_the_second_claim(tmp_path, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert {record["key"]["claim"] for record in records(tmp_path)} == {CLAIM}
    code, _, err = run("verify", CLAIM, "--json", "--store", str(tmp_path), capsys=capsys)
    assert (code, err) == (0, "")


@pytest.mark.slow  # two more interpreters that import everything
def test_a_worker_that_dies_is_one_line(tmp_path: Path) -> None:
    """With -j 2, workers killed from outside (as by the system when memory runs out) when one has stored something."""
    code = (
        "import multiprocessing, pathlib, sys, threading, time\n"
        "from tightframe.papers import cli\n"
        "def kill():\n"
        f"    while not list(pathlib.Path({str(tmp_path)!r}).glob('*.json')): time.sleep(0.02)\n"
        "    for worker in multiprocessing.active_children(): worker.kill()\n"
        "if __name__ == '__main__':\n"
        "    threading.Thread(target=kill, daemon=True).start()\n"
        f"    sys.exit(cli.main(['verify', {CLAIM!r}, {SLOW!r}, '-j', '2', '--store', {str(tmp_path)!r}]))\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3, done
    line = r"tightframe: a worker process ended; [12] of 2 claims are undecided; finished evidence is kept\n"
    assert re.fullmatch(line, done.stderr), done.stderr
    assert CLAIM in {record["key"]["claim"] for record in records(tmp_path)}
