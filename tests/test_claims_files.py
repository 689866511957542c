"""Claims files of one's own, as a user meets them: found, run with care, verified, cited, and told what is wrong."""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path

import pytest
from tightframe.papers import claims_files, cli, registry, scaffold
from tightframe.papers.claims_files import ClaimsFileError, Source

HEAD = """from tightframe.papers.draft import *
PAPER = Draft({key!r}, "A paper", authors="A. Author", year=2027)
n, d = PAPER.integer("n"), PAPER.integer("d")
A, B = PAPER.matrix("A", n, d), PAPER.matrix("B", n, d)
"""
GOOD = HEAD + 'PAPER.claim("gram", "Gram", Equal(trace(A.T * B), trace(B * A.T)), recorded="proved")\n'


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder and a store of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIGHTFRAME_STORE", str(tmp_path / "store"))
    monkeypatch.delenv(claims_files.ENVIRONMENT, raising=False)


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the first import in another process, which takes a second and a test of its own has."""
    monkeypatch.setattr(claims_files, "_probe", lambda source: None)


def write(name: str, text: str) -> Path:
    path = Path.cwd() / name
    path.write_text(text, encoding="utf-8")
    return path


def run(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli.main(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


# ---- what the scaffold is worth
def test_a_scaffold_is_verified_listed_cited_and_audited(capsys: pytest.CaptureFixture[str], trusted: None) -> None:
    code, out, err = run("new", "mypaper.py", "--key", "me2027", capsys=capsys)
    assert (code, err) == (0, "")
    assert out.startswith("written: mypaper.py")
    words = ("--claims", "mypaper.py")
    code, out, err = run("verify", *words, "--certificates", "certificates", "--json", capsys=capsys)
    assert (code, err) == (0, "")
    verdicts = {entry["id"]: entry["verdict"] for entry in json.loads(out)}
    assert verdicts == {
        "me2027/push-through": "proved",
        "me2027/collapse": "proved",
        "me2027/implicit-bias": "supported",
    }
    # elsewhere: the certificates beside the file are enough
    os.environ["TIGHTFRAME_STORE"] = "another"
    code, out, _ = run("--claims", "mypaper.py", "list", "--json", capsys=capsys)
    assert [entry["verdict"] for entry in json.loads(out)] == ["proved", "proved", "open"]
    code, out, _ = run("verify", *words, "--recheck", capsys=capsys)
    assert code == 0
    assert out.startswith("2 certificates replayed")
    code, out, _ = run("cite", "me2027/push-through", *words, "--out", "cited", capsys=capsys)
    assert code == 0
    write("paper.tex", r"\begin{document}\input{cited/me2027/push-through.tex}\end{document}")
    code, out, _ = run("audit", "paper.tex", *words, capsys=capsys)
    assert (code, "1 same" in out) == (0, True)
    text = Path("cited/me2027/push-through.tex").read_text()
    Path("cited/me2027/push-through.tex").write_text(text.replace(r"+ \lambda I_{n}", r"+ 2 \lambda I_{n}"))
    assert run("audit", "paper.tex", *words, capsys=capsys)[0] == 1
    code, out, _ = run("derive", "me2027/push-through", *words, capsys=capsys)
    assert "6 of 6 steps machine-checked" in out
    sets = ("--set", "s=1", "--set", "lambda=1/2", "--set", "t=1")
    code, out, _ = run("predict", "me2027/collapse", *words, *sets, "--json", capsys=capsys)
    assert json.loads(out)["values"] == {"below": 0.5, "above": 0.625}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["new", "a.py", "--key", "han2022"], "is that of a paper of tightframe's"),
        (["new", "a.py", "--key", "2027me"], "is no key"),
        (["new", "a.txt", "--key", "me2027"], "a claims file is a Python file"),
        (["new", "there.py", "--key", "me2027"], "there is a file there.py already"),
        (["new", "absent/there.py/a.py", "--key", "me2027"], "written"),
    ],
)
def test_a_scaffold_overwrites_nothing(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    write("there.py", "mine")
    code, out, err = run(*words, capsys=capsys)
    assert expected in out + err
    assert code == (0 if out else 2)
    assert Path("there.py").read_text() == "mine"


def test_titles_and_authors_of_a_scaffold_are_text(trusted: None) -> None:
    title = "On \"quotes\" and 'others', \\beta and {braces}"
    scaffold.write(Path("a.py"), "me2027", title, 'O\'Neill, "A."')
    assert registry.file_claims("a.py")[0].paper == "me2027"
    assert registry.paper("me2027").title == title


def test_every_verb_takes_claims() -> None:
    groups = [cli.app, *(group.typer_instance for group in cli.app.registered_groups)]
    verbs = [command.callback for group in groups if group is not None for command in group.registered_commands]
    assert len(verbs) > 10
    assert all("claims" in inspect.signature(verb).parameters for verb in verbs if verb is not None)


# ---- where claims come from
def test_claims_come_from_options_the_environment_and_the_name_of_a_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, trusted: None
) -> None:
    write("one.py", GOOD.format(key="one2027"))
    write("two.py", GOOD.format(key="two2027"))
    _, out, _ = run("list", "--claims", "one.py", "--claims", "two.py", "--json", capsys=capsys)
    assert [entry["id"] for entry in json.loads(out)] == ["one2027/gram", "two2027/gram"]
    assert claims_files.ENVIRONMENT not in os.environ  # a call leaves nothing behind
    assert run("show", "one2027/gram", capsys=capsys)[0] == 2
    assert run("show", "one.py::gram", capsys=capsys)[0] == 0
    assert "name one of its claims: one.py::gram" in run("show", "one.py", capsys=capsys)[2]
    monkeypatch.setenv(claims_files.ENVIRONMENT, os.pathsep.join(["one.py", "two.py"]))
    _, out, _ = run("list", "--paper", "two2027", "--json", capsys=capsys)
    assert [entry["id"] for entry in json.loads(out)] == ["two2027/gram"]
    assert list(registry.papers())[-2:] == ["one2027", "two2027"]  # after those of the package
    assert "han2022" in registry.papers()


def test_an_installed_package_may_bring_claims(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    (folder / "theirs").mkdir(parents=True)
    (folder / "theirs" / "__init__.py").write_text("")
    (folder / "theirs" / "claims.py").write_text(GOOD.format(key="their2027"))
    info = folder / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tightframe.papers]\ntheirs = theirs.claims\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    claims_files._installed.cache_clear()
    try:
        assert registry.find("their2027/gram").title == "Gram"
        assert registry.home("their2027") == folder / "theirs" / "claims.py"
        (folder / "theirs" / "wrong.py").write_text("x = 1\n1 / 0\n")
        with pytest.raises(ClaimsFileError, match=r"wrong\.py:2: ZeroDivisionError"):
            claims_files._imported(Source(module="theirs.wrong"))
    finally:
        monkeypatch.undo()
        claims_files._installed.cache_clear()


def test_stored_evidence_of_a_file_is_not_shown_after_it_changed(
    capsys: pytest.CaptureFixture[str], trusted: None
) -> None:
    write("one.py", GOOD.format(key="one2027"))
    assert run("verify", "--claims", "one.py", capsys=capsys)[0] == 0
    _, out, _ = run("list", "--claims", "one.py", "--json", capsys=capsys)
    assert json.loads(out)[0]["verdict"] == "proved"
    write("two.py", GOOD.format(key="one2027") + "# changed\n")
    _, out, _ = run("list", "--claims", "two.py", "--json", capsys=capsys)
    assert json.loads(out)[0]["verdict"] == "open"


# ---- what is wrong with a file: one line, with the place; and the other files go on
BAD = {
    "absent": (None, "absent.py: no such claims file"),
    "syntax": ("def f(:\n", "syntax.py:1: invalid syntax"),
    "raises": ("import os\n\n1 / 0\n", "raises.py:3: ZeroDivisionError: division by zero"),
    "missing": ("import nothing_of_this_name\n", "missing.py:1: ModuleNotFoundError"),
    "ends": ("import sys\nsys.exit(0)\n", "ends.py:2: ends Python"),
    "prints": ("x = 1\nprint('hello')\n", "prints.py:2: prints 'hello'"),
    "asks": ("input()\n", "asks.py:1: EOFError"),
    "empty": ("", "empty.py:1: defines no PAPER"),
    "other": ("PAPER = 7\n", "other.py:1: PAPER is a int"),
    "claimless": (HEAD.format(key="none2027"), "claimless.py:2: defines no claims"),
    "key": (GOOD.format(key="7up"), "key.py:2: '7up' is no key"),
    "shipped": (GOOD.format(key="han2022"), "shipped.py: the key 'han2022' is that of a paper of tightframe's"),
    "clash": (GOOD.format(key="good2027"), "clash.py and good.py both have the key 'good2027'"),
    "twice": (
        GOOD.format(key="twice2027") + 'PAPER.claim("gram", "Again", Equal(A, A))\n',
        "twice.py:6: two claims have the id twice2027/gram: twice.py:5 and twice.py:6",
    ),
    "cycle": (
        GOOD.format(key="cycle2027").replace("PAPER.claim(", "first = PAPER.claim(")
        + "from dataclasses import replace\nfrom tightframe.papers.claim import Paper\n"
        'one = replace(first, id="cycle2027/one", depends=("cycle2027/two",))\n'
        'two = replace(first, id="cycle2027/two", depends=("cycle2027/one",), origin=None)\n'
        'PAPER = Paper("cycle2027", "A paper", PAPER.bibtex, (one, two))\n',
        "`depends` leads back: cycle2027/one -> cycle2027/two -> cycle2027/one",
    ),
    "unknown": (
        GOOD.format(key="unknown2027").replace("PAPER.claim(", "first = PAPER.claim(")
        + "from dataclasses import replace\nfrom tightframe.papers.claim import Paper\n"
        'PAPER = Paper("unknown2027", "A paper", PAPER.bibtex, (replace(first, depends=("x2027/y",)),))\n',
        "unknown.py:5: unknown2027/gram depends on 'x2027/y', which there is not",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_line_and_the_others_go_on(
    name: str, capsys: pytest.CaptureFixture[str], trusted: None
) -> None:
    text, expected = BAD[name]
    write("good.py", GOOD.format(key="good2027"))
    if text is not None:
        write(f"{name}.py", text)
    code, out, err = run("list", "--claims", "good.py", "--claims", f"{name}.py", "--json", capsys=capsys)
    assert code == 2
    assert expected in err
    assert err.startswith("tightframe: ")
    assert err.count("\n") == 1
    assert [entry["id"] for entry in json.loads(out)] == ["good2027/gram"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import time\n\ntime.sleep(60)\n", ":3: still not imported after 5 s"),
        ("import os\nos._exit(0)\n", "bad.py: ended Python when it was imported (exit code 0)"),
        (GOOD.format(key="e2027") + "import os\nos.system('echo out')\n", "bad.py: prints 'out' when it is imported"),
    ],
)
def test_what_hangs_or_ends_python_is_met_in_another_process(
    text: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(claims_files.LIMIT, "5")
    path = write("bad.py", text)
    with pytest.raises(ClaimsFileError) as caught:
        claims_files.load(Source(file=path))
    assert expected in str(caught.value)


def test_a_file_that_was_seen_before_is_not_tried_again_and_may_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(
        "once.py", "import os, time\nif 'HANG' in os.environ:\n    time.sleep(60)\n" + GOOD.format(key="once2027")
    )
    claims_files.load(Source(file=path))
    monkeypatch.setattr(claims_files, "_probe", lambda source: pytest.fail("tried again"))
    claims_files.load(Source(file=path))
    monkeypatch.setenv("HANG", "")
    monkeypatch.setenv(claims_files.LIMIT, "0.3")
    with pytest.raises(ClaimsFileError, match=r"once.py:3: still not imported after 0.3 s"):
        claims_files.load(Source(file=path))


def test_files_beside_a_claims_file_hide_no_library_and_leave_nothing(trusted: None) -> None:
    write("statistics.py", "raise RuntimeError('hidden')\n")
    write("helper.py", "SCALE = 2\n")
    write("one.py", "import statistics\nfrom helper import SCALE\n" + GOOD.format(key="one2027"))
    assert registry.file_claims("one.py")[0].id == "one2027/gram"
    assert not Path("__pycache__", "one.cpython-311.pyc").exists()


def test_what_the_users_functions_print_does_not_reach_stdout_and_their_errors_stop_no_other_claim(
    capsys: pytest.CaptureFixture[str], trusted: None
) -> None:
    text = GOOD.format(key="one2027") + (
        "def noisy(values, seed):\n    print('noise')\n    return Comparison([1.0], [1.0], 0.1)\n"
        "def broken(values, seed):\n    return 1 / 0\n"
        'PAPER.claim("noisy", "N", Equal(A, A), simulate=noisy)\n'
        'PAPER.claim("broken", "B", Equal(A, A), simulate=broken)\n'
        'PAPER.claim("impossible", "I", Equal(A, B), given={"no": Equal(trace(A.T * A), -1)})\n'
        'PAPER.claim("last", "L", Equal(A, A))\n'
    )
    write("one.py", text)
    code, out, err = run("verify", "--claims", "one.py", "--json", capsys=capsys)
    found = {entry["id"].partition("/")[2]: entry for entry in json.loads(out)}
    assert code == 2
    assert "noise" in err
    assert {name: entry["verdict"] for name, entry in found.items()} == {
        "gram": "proved",
        "noisy": "proved",
        "broken": "proved",
        "impossible": "open",
        "last": "proved",
    }
    assert [piece["outcome"] for piece in found["broken"]["evidence"]] == ["accepted", "failed"]
    assert "one.py:10: ZeroDivisionError" in err
    assert "one.py:13: no exact example of the hypotheses was found" in err
