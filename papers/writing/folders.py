"""Folders of files that are written whole or not at all, and replaced only where they are our own."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FORMAT = 1


def manifest(kind: str, files: Mapping[str, bytes], more: Mapping[str, Any]) -> bytes:
    """What lies in ``<kind>.json``: whose folder it is, and which files are part of it."""
    data = {"format": FORMAT, "written_by": f"tightframe {kind}", **more, "files": sorted({*files, f"{kind}.json"})}
    return (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode()


def require_ours(folder: Path, kind: str) -> None:
    """Nothing, if the folder is not there, or empty, or holds what a manifest of this kind names and nothing else.

    Raises:
        ValueError: in one line, for any other folder or file; nothing of somebody else's is ever overwritten.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"{folder}: expected a folder, and this is a file")
    here = Path.cwd().resolve()
    if folder.resolve() in (here, *here.parents):
        raise ValueError(f"{folder}: expected another folder than the current one and those above it")
    found = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()
    }
    if not found:
        if any(folder.iterdir()):
            raise ValueError(f"{folder}: is no {kind} of tightframe, so it is not overwritten; name another folder")
        return
    try:
        data = json.loads((folder / f"{kind}.json").read_bytes())
        if data["format"] != FORMAT or data["written_by"] != f"tightframe {kind}":
            raise ValueError
        own = {str(name) for name in data["files"]}
    except (OSError, LookupError, TypeError, ValueError, RecursionError):
        raise ValueError(
            f"{folder}: is no {kind} of tightframe, so it is not overwritten; name another folder"
        ) from None
    if not found <= own:
        other = min(found - own)
        raise ValueError(f"{folder}: holds {other}, which is no part of the {kind}, so it is not overwritten")


def require_writable(folder: Path) -> None:
    """Fail early, before anything is computed, if nothing can be put there.

    Raises:
        OSError: if a folder cannot be made beside this one.
    """
    parent = folder.resolve().parent
    parent.mkdir(parents=True, exist_ok=True)
    Path(tempfile.mkdtemp(dir=parent, prefix=f".{folder.name}.")).rmdir()


def replace_folder(folder: Path, files: Mapping[str, bytes], kind: str) -> None:
    """Write the files beside the folder, then put them in its place; an old one is kept until the new one is there.

    Raises:
        ValueError: as :func:`require_ours`.
        OSError: if the folder cannot be written to; what was there is there still.
    """
    target = folder.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    new, old = made / "new", made / "old"
    try:
        for name, content in files.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        require_ours(folder, kind)
        if target.exists():
            target.rename(old)
        try:
            new.rename(target)
        except BaseException:
            if old.exists():
                old.rename(target)
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
