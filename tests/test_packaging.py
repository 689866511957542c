"""What is installed is what is under version control: the wheel, the versions, the top level of the repository."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import pytest

FOLDERS = ("theory", "numerics", "papers")
TOP_LEVEL = {
    *(".ci", ".gitignore", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md"),
    *("constraints.txt", "pyproject.toml", "tests", *FOLDERS),
}


def project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text())


def files(root: Path) -> set[str]:
    """The files under version control, and those that would be after `git add .`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")
    return {name for name in listed if name and (root / name).is_file()}


def differences(wheel: set[str], checkout: set[str]) -> list[str]:
    """Files of the checkout that the wheel lacks, and files of the wheel that are not of the checkout."""
    wanted = {f"tightframe/{name}" for name in checkout if name.split("/")[0] in FOLDERS}
    found = {name for name in wheel if ".dist-info/" not in name}
    return [f"missing {name}" for name in sorted(wanted - found)] + [f"extra {name}" for name in sorted(found - wanted)]


def machine_paths(text: str, root: Path) -> list[str]:
    """Absolute paths of one machine: this checkout's, the folder it lies in, somebody's home."""
    shared = {Path("/"), Path("/home"), Path("/usr"), Path("/usr/src"), Path("/opt"), Path(tempfile.gettempdir())}
    own = [re.escape(str(folder)) for folder in (root, root.parent) if folder not in shared]
    return re.findall("|".join([rf"(?<![\w.~}}]){path}(?![\w.-])" for path in own] + [r"/(?:home|Users)/\w+/"]), text)


@pytest.mark.checkout
def test_the_wheel_holds_exactly_the_files_of_the_packages(root: Path, tmp_path: Path) -> None:
    checkout = files(root)
    for name in checkout:
        if name.split("/")[0] in (*FOLDERS, "pyproject.toml", "README.md", "LICENSE"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, tmp_path / name)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", "dist"]  # the wheel, by way of the sdist
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert differences(set(zipfile.ZipFile(wheel).namelist()), checkout) == []


def test_a_file_missing_from_the_wheel_and_one_too_many_are_caught() -> None:
    checkout = {"theory/frames.py", "papers/data.json", "tests/test_packaging.py"}
    assert differences({"tightframe/theory/frames.py", "tightframe/papers/data.json"}, checkout) == []
    assert differences({"tightframe/theory/frames.py"}, checkout) == ["missing tightframe/papers/data.json"]
    assert "extra tests/laws.py" in differences({"tests/laws.py"}, checkout)


@pytest.mark.checkout
def test_the_hand_list_names_every_package(root: Path) -> None:
    folders = {Path(name).parent for name in files(root) if Path(name).name == "__init__.py"}
    found = {".".join(["tightframe", *folder.parts]) for folder in folders if folder.parts[0] in FOLDERS}
    assert set(project(root)["tool"]["setuptools"]["packages"]) == found


@pytest.mark.checkout
def test_the_top_level_is_the_designs(root: Path) -> None:
    assert {name.split("/")[0] for name in files(root)} == TOP_LEVEL


@pytest.mark.checkout
def test_no_file_names_a_path_of_one_machine(root: Path) -> None:
    found = {name: machine_paths((root / name).read_text(errors="replace"), root) for name in files(root)}
    assert {name: paths for name, paths in found.items() if paths} == {}


def test_a_path_of_one_machine_is_caught() -> None:
    root = Path("/srv/alice/checkout")
    assert machine_paths("open('/srv/alice/checkout/theory')", root)
    assert machine_paths("see /srv/alice/notes.md", root)
    assert machine_paths("/".join(["", "home", "alice", "thesis"]), root)
    assert not machine_paths("~/srv/alice/notes, ./srv/alice, /srv/alice2, /tmp/x", root)


@pytest.mark.checkout
def test_the_version_has_one_source(root: Path) -> None:
    version = metadata.version("tightframe")
    assert project(root)["project"]["version"] == version
    assert re.findall(r"^version: *(\S+)$", (root / "CITATION.cff").read_text(), re.MULTILINE) == [version]


@pytest.mark.checkout
def test_dependencies_have_a_lower_bound_and_no_cap(root: Path) -> None:
    """`constraints.txt` pins what is tested, every core and test requirement included; a cap would stop other users."""
    described = project(root)["project"]
    extras = described["optional-dependencies"]
    requirements = [*described["dependencies"], *(each for extra in extras.values() for each in extra)]
    assert [each for each in requirements if not re.fullmatch(r"[\w.-]+(\[\w+\])?>=[\d.]+", each)] == []
    pinned = {line.split("==")[0].lower() for line in (root / "constraints.txt").read_text().splitlines()}
    needed = {re.split(r"[\[>]", each)[0].lower() for each in [*described["dependencies"], *extras["test"]]}
    assert needed <= pinned


@pytest.mark.parametrize("package", ["theory", "numerics", "papers"])
def test_every_package_says_that_it_is_typed(package: str) -> None:
    assert resources.files(f"tightframe.{package}").joinpath("py.typed").is_file()


def test_tightframe_is_a_namespace_package() -> None:
    import tightframe

    assert tightframe.__file__ is None
