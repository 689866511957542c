"""The documentation does what it says: its blocks run, its outputs are those that are printed, its site is built."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tightframe.papers import manual, registry

DOCS = (Path(manual.__file__).parent / "docs" / "conf.py").resolve().parent  # an editable install is made of links
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
SLOW = {
    "tutorial.md": "25 s: a dozen commands, one after the other, each a process of its own",
    "how-to/sweep.md": "10 s: a sweep, and DuckDB",
}
NOT_RUN = {"it installs from the network", "needs a cluster"}
FENCE = re.compile(r"(?:^% not run: (?P<why>.+)\n)?^```(?P<info>.+)\n(?P<body>(?:.*\n)*?)^```$", re.MULTILINE)
SAME = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file that its caption names, and why it is not run, if it is not."""

    language: str
    body: str
    file: str = ""
    not_run: str = ""


def blocks(text: str) -> Iterator[Block]:
    """Blocks of code; directives of Sphinx other than `code-block` are none."""
    for found in FENCE.finditer(text):
        info, body = found["info"].strip(), found["body"]
        if info.startswith("{code-block}"):
            caption, body = body.split("\n", 1)
            yield Block(info.split()[1], body, caption.removeprefix(":caption: "))
        elif not info.startswith("{"):
            yield Block(info, body, "", found["why"] or "")


def commands(body: str) -> Iterator[tuple[str, str]]:
    """Each command of a console block, with the output that is printed below it."""
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


class Reader:
    """Somebody who does what a page says, in one folder, from its beginning to its end."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.code = folder, 0
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(folder / ".cache"),
            "PYTEST_ADDOPTS": "-p no:cacheprovider -p no:xdist",
            "PYTHONIOENCODING": "utf-8",
        }
        self.environment.pop("TIGHTFRAME_CLAIMS", None)

    def follow(self, block: Block) -> None:
        if block.not_run:
            assert block.not_run in NOT_RUN
        elif block.file:
            name, _, end = block.file.partition(", ")
            path = self.folder / name
            assert path.exists() == (end == "at its end")
            with path.open("a", encoding="utf-8") as file:
                file.write(block.body)
        elif block.language == "python":
            done = self.run([sys.executable, "-W", "error::UserWarning", "-c", block.body])
            assert done.returncode == 0, f"{block.body}\n{done.stdout}"
        else:
            assert block.language == "console", f"a block of {block.language} is neither run nor a file with a caption"
            self.console(block.body)

    def console(self, body: str) -> None:
        asked = list(commands(body))
        for i, (command, wanted) in enumerate(asked):
            done = self.run(["bash", "-c", f"(exit {self.code}); {command}"])
            self.code = done.returncode
            same = doctest.OutputChecker().check_output(wanted, done.stdout, SAME)
            assert same or not wanted, f"$ {command}\n{done.stdout}\n--- the page says\n{wanted}"
            said = i + 1 < len(asked) and asked[i + 1][0] == "echo $?"
            assert said or self.code == 0, f"$ {command}\nends with {self.code}, unsaid:\n{done.stdout}"

    def run(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=300,
        )


def marked(page: str) -> object:
    return pytest.param(page, marks=[pytest.mark.slow] if page in SLOW else [])


@pytest.mark.parametrize("page", [marked(page) for page in PAGES])
def test_the_blocks_of_a_page_run(page: str, tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    for block in blocks((DOCS / page).read_text(encoding="utf-8")):
        reader.follow(block)


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("```python\nassert False\n```\n", "assert False"),
        ("```console\n$ echo one\ntwo\n```\n", "the page says"),
        ("```console\n$ false\n```\n", "ends with 1, unsaid"),
        ("```console\n$ false\n$ echo $?\n0\n```\n", "the page says"),
        ("```yaml\na: 1\n```\n", "neither run nor a file"),
        ("% not run: tedious\n```console\n$ ls\n```\n", "tedious"),
        ("```{code-block} text\n:caption: a.txt, at its end\nwords\n```\n", "at its end"),
    ],
)
def test_a_page_that_says_what_is_not_so_is_caught(page: str, words: str, tmp_path: Path) -> None:
    [block] = blocks(page)
    with pytest.raises(AssertionError) as caught:
        Reader(tmp_path).follow(block)
    assert words in f"{caught.value}{caught.traceback[-1].statement}{block}"


def test_what_is_right_is_not_caught(tmp_path: Path) -> None:
    page = "```{code-block} toml\n:caption: a.toml\nx = 1\n```\n\n"
    page += "```console\n$ cat a.toml\nx = ...\n$ false\n$ echo $?\n1\n```\n"
    found = list(blocks(page))
    assert [block.language for block in found] == ["toml", "console"]
    for block in found:
        Reader(tmp_path).follow(block)


# ---------------------------------------------------------------------------------------------- the site


def build(source: Path, out: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", str(out / ".doctrees")]
    return subprocess.run([*words, str(source), str(out)], capture_output=True, text=True, check=False, timeout=300)


def inventory(path: Path) -> dict[str, tuple[str, str]]:
    """The objects of an inventory of Sphinx, version 2, by domain and name: where each is, and its title."""
    head, _, packed = path.read_bytes().partition(b"zlib.\n")
    assert head.startswith(b"# Sphinx inventory version 2\n# Project: tightframe\n")
    found: dict[str, tuple[str, str]] = {}
    for line in zlib.decompress(packed).decode("utf-8").splitlines():
        name, kind, _, place, title = line.split(" ", 4)
        found[f"{kind} {name}"] = (place.replace("$", name), title)
    return found


OTHER = """Other
=====

See :external+tightframe:ref:`tf:han2022/closed-form` and :external+tightframe:ref:`here <tf:{claim}>`.
"""


@pytest.mark.slow  # 30 s: Sphinx reads every module, and typesets every claim
def test_the_site_is_built_and_others_can_link_to_every_claim(tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    pytest.importorskip("furo")
    site = tmp_path / "site"
    built = build(DOCS, site)
    assert built.returncode == 0, built.stderr[-4000:]
    found = inventory(site / "objects.inv")
    page = (site / "reference" / "claims.html").read_text(encoding="utf-8")
    anchors = set(re.findall(r'id="([^"]+)"', page))
    for name in registry.claims():
        place, title = found[f"std:label tf:{name}"]
        assert title == name
        assert place.startswith("reference/claims.html#")
        assert place.partition("#")[2] in anchors
    assert "py:function tightframe.papers.verification.verify" in found
    assert "<!-- generated" not in "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.html"))

    [conf] = [block.body for block in blocks((DOCS / "how-to/link.md").read_text(encoding="utf-8")) if block.file]
    address = "https://example.org/tightframe/"
    assert address in conf
    other = tmp_path / "other"
    other.mkdir()
    (other / "conf.py").write_text(conf.replace(f'"{address}", None', f'"{address}", "{site}/objects.inv"'))
    (other / "index.rst").write_text(OTHER.format(claim="garrod2025/dnc-suboptimal"))
    linked = build(other, tmp_path / "linked")
    assert linked.returncode == 0, linked.stderr
    html = (tmp_path / "linked" / "index.html").read_text(encoding="utf-8")
    assert f"{address}reference/claims.html#tf-han2022-closed-form" in html
    assert f"{address}reference/claims.html#tf-garrod2025-dnc-suboptimal" in html

    (other / "index.rst").write_text(OTHER.format(claim="garrod2025/no-such-claim"))
    assert build(other, tmp_path / "linked").returncode != 0


def test_the_page_of_claims_has_every_claim_and_no_part_is_unknown() -> None:
    labels = re.findall(r"^\(tf:(.*)\)=$", manual.claims("liu2024"), re.MULTILINE)
    assert labels == [claim.id for claim in registry.paper("liu2024").claims]
    with pytest.raises(ValueError, match="known: claims, commands"):
        manual.completed("<!-- generated: claim -->")
