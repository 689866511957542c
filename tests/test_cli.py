"""The command line as a user meets it: results on stdout, one line on stderr for an error, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tightframe.papers import cli, registry
from tightframe.papers.evidence import Verdict
from tightframe.papers.store import CERTIFICATES

KEYS = {
    *("id", "hash", "paper", "locator", "title", "kind", "verdict", "statement_latex", "domain", "conditional_on"),
    *("unchecked", "assumptions"),
    *("sharpened", "corrected_by", "corrects", "depends", "hypotheses", "assumed_nonzero", "recorded", "evidence"),
}


def run(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli.main(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "store")


def test_show_has_the_documented_keys(capsys: pytest.CaptureFixture[str], store: str) -> None:
    code, out, err = run("show", "han2022/ls-decomposition", "--json", "--store", store, capsys=capsys)
    data = json.loads(out)
    assert code == 0
    assert err == ""
    assert set(data) >= KEYS
    assert data["verdict"] == data["recorded"] == "proved"
    assert {"kind", "prover", "outcome", "coverage", "seconds", "detail"} == set(data["evidence"][0])
    assert all({"statement", "used"} <= set(entry) for entry in data["hypotheses"])


def test_show_tells_which_hypotheses_were_used_and_what_a_claim_rests_on(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run("show", "han2022/ls-classifier", "--json", capsys=capsys)
    data = json.loads(out)
    assert data["depends"] == ["han2022/ls-decomposition"]
    assert {entry["name"]: entry["used"] for entry in data["hypotheses"]}["well posed"] is True
    assert {entry["name"]: entry["used"] for entry in data["hypotheses"]}["constant feature"] is False


def test_list_answers_from_shipped_certificates(capsys: pytest.CaptureFixture[str], store: str) -> None:
    code, out, _ = run("list", "--json", "--store", store, capsys=capsys)
    assert code == 0
    assert {entry["id"]: entry["verdict"] for entry in json.loads(out)} == {
        name: str(claim.recorded) for name, claim in registry.claims().items()
    }
    _, text, _ = run("list", "--paper", "han2022", "--verdict", "proved", "--store", store, capsys=capsys)
    assert "han2022/ls-classifier" in text
    assert "tightframe/" not in text


def test_verify_then_verify_again_gives_the_same_from_the_store(
    capsys: pytest.CaptureFixture[str], store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("verify", "han2022/total-covariance", "--json", "--store", store)
    code, first, _ = run(*words, capsys=capsys)
    assert code == 0

    def refuse(*arguments: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr("tightframe.papers.verification.prove", refuse)
    monkeypatch.setattr("tightframe.papers.verification.simulate", refuse)
    code, second, _ = run(*words, capsys=capsys)
    assert code == 0
    assert [e["evidence"] for e in json.loads(first)] == [e["evidence"] for e in json.loads(second)]


def test_recheck_replays_every_certificate(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run("verify", "--recheck", "--json", capsys=capsys)
    assert code == 0
    derived = [name for name, claim in registry.claims().items() if claim.derive is not None]
    assert json.loads(out)["accepted"] == derived


def test_recheck_fails_without_a_certificate(tmp_path: Path) -> None:
    from tightframe.papers.verification import recheck

    found = recheck(folder=tmp_path)
    assert not found.accepted
    needed = [claim for claim in registry.claims().values() if claim.recorded is Verdict.PROVED or claim.runs]
    assert len(found.problems) == len(needed)


def test_check_prints_what_it_accepted_and_binds(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(CERTIFICATES / "han2022" / "total-covariance.json")
    code, out, _ = run("check", path, "--claim", "han2022/total-covariance", capsys=capsys)
    assert code == 0
    assert out.startswith("accepted: han2022/total-covariance")
    assert "one-hot rows" in out
    code, out, _ = run("check", path, "--claim", "han2022/ls-classifier", capsys=capsys)
    assert code == 1
    assert "another statement" in out


def test_check_rejects_a_wrong_certificate(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data = json.loads((CERTIFICATES / "han2022" / "total-covariance.json").read_text())
    data["steps"][-1]["data"]["cofactors"].pop()
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(data))
    code, out, err = run("check", str(path), capsys=capsys)
    assert code == 1
    assert out.startswith("rejected: ")
    assert err == ""


def bad_inputs(tmp_path: Path) -> list[tuple[list[str], str]]:
    garbage, foreign = tmp_path / "garbage.json", tmp_path / "foreign.json"
    garbage.write_bytes(b"\xff\x00{")
    foreign.write_text('{"format": 7}')
    (tmp_path / "file").write_text("")
    return [
        (["show", "han2022/ls-clasifier"], "the nearest is han2022/ls-classifier"),
        (["show", "ls-classifier"], "the nearest is han2022/ls-classifier"),
        (["verify", "nonsense"], "no claim is called 'nonsense'"),
        (
            ["verify", "--paper", "han2023"],
            "'han2023'; known: dang2023, garrod2025, han2022, liu2024, tightframe",
        ),
        (["list", "--verdict", "green"], "expected one of proved, attested, supported, open, refuted"),
        (["show"], "Missing argument"),
        (["prove"], "No such command"),
        (["verify", "--seed", "-1"], "seed"),
        (["verify", "--speed"], "No such option"),
        (["check", str(tmp_path / "absent.json")], "No such file"),
        (["check", str(garbage)], "not a certificate"),
        (["check", str(foreign)], "expected a certificate of format 1"),
        (["check", str(tmp_path)], "cannot read"),
        (["verify", "han2022/total-covariance", "--store", str(tmp_path / "file" / "s")], "cannot write to the store"),
    ]


@pytest.mark.parametrize("number", range(14))
def test_bad_input_is_one_line_and_exit_code_2(number: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, expected = bad_inputs(tmp_path)[number]
    code, out, err = run(*words, capsys=capsys)
    assert code == 2
    assert out == ""
    assert err.startswith("tightframe: ")
    assert err.count("\n") == 1
    assert expected in err


def test_every_bad_input_is_tried(tmp_path: Path) -> None:
    assert len(bad_inputs(tmp_path)) == 14


def test_store_clear_empties_the_store(capsys: pytest.CaptureFixture[str], store: str) -> None:
    run("verify", "han2022/total-covariance", "--store", store, capsys=capsys)
    code, out, _ = run("store", "clear", "--store", store, capsys=capsys)
    assert code == 0
    assert out == "2 records deleted\n"
    assert not list(Path(store).glob("*.json"))


def python(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=120, check=False)


def test_a_second_verify_does_not_import_torch(store: str) -> None:
    code = (
        "import sys; from tightframe.papers import cli\n"
        f"code = cli.main(['verify', 'han2022/total-covariance', '--store', {store!r}])\n"
        "print(code, 'torch' in sys.modules)"
    )
    assert python("-c", code).stdout.splitlines()[-1] == "0 True"
    assert python("-c", code).stdout.splitlines()[-1] == "0 False"


def test_a_closed_pipe_is_no_error() -> None:
    process = subprocess.run(
        f"{sys.executable} -m tightframe.papers.cli list --json | head -c 1",
        shell=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        check=False,
    )
    assert process.stderr == ""


def test_interruption_keeps_what_is_finished(
    capsys: pytest.CaptureFixture[str], store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tightframe.papers import verification

    real = verification.verify_claim

    def interrupted(claim: registry.Claim, *rest: object) -> verification.Standing:
        if claim.id == "han2022/ls-decomposition":
            raise KeyboardInterrupt
        return real(claim, *rest)  # pyrefly: ignore

    monkeypatch.setattr(verification, "verify_claim", interrupted)
    names = ["han2022/total-covariance", "han2022/ls-decomposition", "han2022/nc-decomposition"]
    code, out, err = run("verify", *names, "--json", "--store", store, capsys=capsys)
    assert code == 3
    assert [entry["id"] for entry in json.loads(out)] == names[:1]
    assert "interrupted" in err
    assert len(list(Path(store).glob("*.json"))) == 2
