"""The evidence store: nothing stale, corrupt or foreign counts, and nothing that was finished is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tightframe.papers import registry
from tightframe.papers.evidence import Evidence, Verdict
from tightframe.papers.store import Record, Store, StoreError, write_atomically
from tightframe.papers.verification import verify_claim

CLAIM = "han2022/total-covariance"
KEY = {"claim": CLAIM, "hash": "0", "kind": "proof", "sources": "s", "engines": {}, "seed": 0, "budget": 0}
PIECE = Evidence("proof", "star", "accepted", "whole domain", 0.1, "")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_what_is_put_is_got(store: Store) -> None:
    record = Record(KEY, PIECE, {"format": 1})
    store.put(record)
    assert store.get(KEY) == record


@pytest.mark.parametrize("name", ["hash", "sources", "engines"])
def test_a_stale_record_does_not_count(store: Store, name: str) -> None:
    store.put(Record(KEY, PIECE))
    assert store.get({**KEY, name: "other"}) is None


def damage_truncate(data: bytes) -> bytes:
    return data[: len(data) // 2]


def damage_value(data: bytes) -> bytes:
    return data.replace(b"accepted", b"agreed!!")


def damage_bytes(data: bytes) -> bytes:
    return b"\xff\xfe" + data


def damage_type(data: bytes) -> bytes:
    return b"[1, 2]"


def damage_depth(data: bytes) -> bytes:
    return b"[" * 100_000


@pytest.mark.parametrize("damage", [damage_truncate, damage_value, damage_bytes, damage_type, damage_depth])
def test_a_corrupt_record_is_named_and_set_aside(
    store: Store, damage: Callable[[bytes], bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    store.put(Record(KEY, PIECE))
    path = store.path(KEY)
    path.write_bytes(damage(path.read_bytes()))
    assert store.get(KEY) is None
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert str(path) in error
    assert not path.exists()
    assert path.with_name(path.name + ".corrupt").exists()


@given(text=st.binary(max_size=200))
def test_any_bytes_in_a_record_are_survived(text: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    store.path(KEY).write_bytes(text)
    assert store.get(KEY) is None


def rewritten(store: Store, change: Callable[[dict[str, Any]], None]) -> None:
    """A forged record: its digest is right, its contents are not."""
    [path] = store.folder.glob("*.proof.*.json")
    data = json.loads(path.read_text())
    change(data)
    store.put(Record(data["key"], Evidence.from_json(data["evidence"]), data["certificate"]))


def test_a_forged_proof_is_not_believed(store: Store) -> None:
    claim = registry.find(CLAIM)
    verify_claim(claim, store, budget=2)

    def other_proof(data: dict[str, Any]) -> None:
        data["certificate"]["steps"][-1]["data"]["cofactors"] = []

    def no_proof(data: dict[str, Any]) -> None:
        data["certificate"] = None

    for change in (other_proof, no_proof):
        rewritten(store, change)
        standing = verify_claim(claim, store, budget=2)  # recomputed
        assert standing.verdict is Verdict.PROVED
        assert standing.certificate is not None
        assert standing.certificate["steps"][-1]["data"]["cofactors"]


def test_a_record_of_another_claim_is_not_believed(store: Store) -> None:
    claim, other = registry.find(CLAIM), registry.find("tightframe/total-covariance")
    verify_claim(other, store, budget=2)
    [path] = store.folder.glob("tightframe.*.proof.*.json")
    path.rename(store.folder / path.name.replace("tightframe", "han2022"))
    assert verify_claim(claim, store, budget=2).evidence[0].outcome == "accepted"
    record = json.loads((store.folder / path.name.replace("tightframe", "han2022")).read_text())
    assert record["key"]["claim"] == CLAIM


def test_an_unwritable_store_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "store")
    for use in (store.require_writable, lambda: store.put(Record(KEY, PIECE))):
        with pytest.raises(StoreError, match="choose --store DIR"):
            use()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, "old")

    def full(self: Path, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_imports_are_read_as_by_a_parser() -> None:
    """None is missed; text in a docstring that reads as one may be there too."""
    import ast

    from tightframe.papers import provenance

    odd = "if True: import one\nimport two; import three\nfrom four import (  # :)\n    five,\n)\n"
    odd += "from six \\\n import seven\n"
    texts = [path.read_text(encoding="utf-8") for path in (provenance.ROOT / "papers").glob("*.py")]
    for text in (odd, *texts):
        parsed = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
        assert {ast.dump(node) for node in parsed} <= {ast.dump(node) for node in provenance._statements(text)}
    assert len(provenance._statements(odd)) == 5
