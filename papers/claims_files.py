"""Claims files of other people: found, imported without harm to the rest, and checked.

A claims file is Python that defines ``PAPER``, a :class:`~tightframe.papers.draft.Draft` or a
:class:`~tightframe.papers.claim.Paper`. It is run: only files that the user names are imported, with ``--claims``, in
the environment variable ``TIGHTFRAME_CLAIMS``, or by installing a package with an entry point of the group
``tightframe.papers``.

A file whose contents were not seen before is imported in a process of its own first, which is ended when it takes
longer than ``TIGHTFRAME_CLAIMS_SECONDS`` (30). What goes wrong is one line that begins with ``file:line``.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import hashlib
import importlib
import io
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.machinery import SourceFileLoader
from importlib.metadata import entry_points, version
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from .claim import Claim, Paper

ENVIRONMENT = "TIGHTFRAME_CLAIMS"
LIMIT = "TIGHTFRAME_CLAIMS_SECONDS"
SECONDS = 30.0  # sympy takes a few to build large matrix expressions
GROUP = "tightframe.papers"
SHIPPED_FOLDER = Path(__file__).resolve().parent


class ClaimsFileError(ValueError):
    """A claims file cannot be used; the message begins with ``file:line`` where a line is at fault."""


@dataclass(frozen=True)
class Source:
    """Where claims come from: a file, or an installed module that an entry point names."""

    file: Path | None = None
    module: str = ""

    @property
    def name(self) -> str:
        return shown(self.file) if self.file is not None else f"entry point {self.module}"


@dataclass(frozen=True)
class Loaded:
    """A paper of one's own and the file that it is in."""

    paper: Paper
    file: Path
    name: str


@dataclass(frozen=True)
class Own:
    """All papers of one's own by key, and a line for each source that is left out."""

    papers: Mapping[str, Loaded]
    problems: tuple[str, ...]


def shown(path: Path | str) -> str:
    """A path as a user reads it: relative where it lies below the current folder."""
    with contextlib.suppress(ValueError, OSError):
        return str(Path(path).relative_to(Path.cwd()))
    return str(path)


named: list[Path] = []  # on the command line: verbs over all claims then mean those of these files


def shown_place(origin: str) -> str:
    """``file:line`` as a user reads it."""
    path, _, line = origin.rpartition(":")
    return f"{shown(path)}:{line}"


def add(path: Path | str) -> Path:
    """Use a claims file from now on, in this process and those that it starts."""
    file = Path(path).absolute()
    named.append(file)
    known = [word for word in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if word]
    if str(file) not in known:
        os.environ[ENVIRONMENT] = os.pathsep.join([*known, str(file)])
    return file


def sources() -> tuple[Source, ...]:
    """All that the user points to, each once."""
    words = [word for word in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if word]
    files = [Source(file=Path(word).absolute()) for word in words]
    return tuple(dict.fromkeys((*files, *_installed())))


@cache
def _installed() -> tuple[Source, ...]:
    return tuple(Source(module=point.module) for point in sorted(entry_points(group=GROUP), key=lambda p: p.module))


def own(shipped: Sequence[str]) -> Own:
    """The papers of all sources; ``shipped`` are keys that are taken.

    What is wrong is said on stderr when it is first met.
    """
    return _own(sources(), tuple(shipped))


@cache
def _own(found: tuple[Source, ...], shipped: tuple[str, ...]) -> Own:
    papers: dict[str, Loaded] = {}
    problems: list[str] = []
    for source in found:
        try:
            loaded = load(source)
            key = loaded.paper.key
            if key in shipped:
                raise ClaimsFileError(
                    f"{loaded.name}: the key {key!r} is that of a paper of tightframe's; choose another"
                )
            if key in papers:
                raise ClaimsFileError(f"{loaded.name} and {papers[key].name} both have the key {key!r}")
            papers[key] = loaded
        except ClaimsFileError as error:
            problems.append(str(error))
    for key, problem in tangled(papers, shipped):
        papers.pop(key, None)
        problems.append(problem)
    if threading.current_thread() is threading.main_thread() and _parent():
        for problem in problems:
            print(f"tightframe: {problem}", file=sys.stderr)
    return Own(papers, tuple(problems))


def _parent() -> bool:
    from multiprocessing import parent_process

    return parent_process() is None


def tangled(papers: Mapping[str, Loaded], shipped: Sequence[str]) -> list[tuple[str, str]]:
    """The keys of papers with claims that depend on themselves, or on what there is not, each with a message."""
    claims = {claim.id: (claim, loaded) for loaded in papers.values() for claim in loaded.paper.claims}
    found: dict[str, str] = {}

    def place(name: str) -> str:
        claim, loaded = claims[name]
        return where(claim, loaded)

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            cycle = [*path[path.index(name) :], name]
            for each in cycle[:-1]:
                key = each.partition("/")[0]
                found.setdefault(key, f"{place(name)}: `depends` leads back: {' -> '.join(cycle)}")
            return
        for other in claims[name][0].depends:
            if other in claims:
                visit(other, (*path, name))
            elif other.partition("/")[0] not in shipped:
                found.setdefault(
                    name.partition("/")[0], f"{place(name)}: {name} depends on {other!r}, which there is not"
                )

    for name in claims:
        visit(name, ())
    once = dict[str, str]()
    for key, problem in found.items():
        once[key] = problem if problem not in once.values() else ""
    return list(once.items())


def where(claim: Claim, loaded: Loaded) -> str:
    """``file:line`` of a claim."""
    if claim.origin is not None:
        return shorten(claim.origin, loaded.file)
    for number, line in enumerate(loaded.file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if f'"{claim.id}"' in line or f"'{claim.id}'" in line:
            return f"{loaded.name}:{number}"
    return loaded.name


def shorten(text: str, file: Path) -> str:
    """A text in which a file is called as a user reads it."""
    return text.replace(str(file), shown(file))


# ------------------------------------------------------------------------------------------------------- one file


def load(source: Source) -> Loaded:
    """Import a source and check what it defines.

    Raises:
        ClaimsFileError: in one line, whatever is wrong.
    """
    if source.file is not None:
        _require_file(source.file)
    if not _seen(source):
        _probe(source)
        _remember(source)
    return _imported(source)


def _require_file(file: Path) -> None:
    if not file.exists():
        raise ClaimsFileError(f"{shown(file)}: no such claims file")
    if file.is_dir() or file.suffix != ".py":
        raise ClaimsFileError(f"{shown(file)}: a claims file is a Python file, name.py")
    try:
        file.read_bytes()
    except OSError as error:
        raise ClaimsFileError(f"cannot read the claims file {shown(file)} ({error.strerror})") from None


def seconds() -> float:
    """How long an import may take."""
    try:
        found = float(os.environ.get(LIMIT, SECONDS))
    except ValueError:
        found = 0.0
    if not 0 < found < 1e6:
        raise ClaimsFileError(f"{LIMIT}: expected a number of seconds, got {os.environ.get(LIMIT)!r}")
    return found


def _mark(source: Source) -> Path | None:
    """The file that says that these contents were imported in time before."""
    from .store import default_folder

    if source.file is None:
        return None
    said = f"{source.file}\0{platform.python_version()}\0{version('tightframe')}\0{version('sympy')}\0".encode()
    digest = hashlib.sha256(said + source.file.read_bytes()).hexdigest()[:24]
    return default_folder() / "imported" / digest


def _seen(source: Source) -> bool:
    mark = _mark(source)
    return mark is not None and mark.is_file()


def _remember(source: Source) -> None:
    from .store import write_atomically

    mark = _mark(source)
    if mark is not None:
        with contextlib.suppress(OSError):  # then it is imported twice again next time
            write_atomically(mark, "")


def _probe(source: Source) -> None:
    """Import in a process of its own, which may hang, print, or end."""
    limit = seconds()
    with tempfile.TemporaryDirectory() as folder:
        report, trace = Path(folder) / "report", Path(folder) / "trace"
        words = [sys.executable, "-P", "-m", __name__]  # -P: a file of the user's must not hide a library
        words += [source.module or str(source.file), str(report), str(trace), str(limit)]
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        late, printed, said = False, b"", b""
        try:
            printed, said = process.communicate(timeout=limit + 20)  # its own limit begins when it has started
        except subprocess.TimeoutExpired:
            late = True
        finally:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()  # with its children
            process.wait()
        try:
            problem = json.loads(report.read_text(encoding="utf-8"))["problem"]
        except (OSError, ValueError, KeyError):
            problem = _ended(source, trace, limit, None if late else process.returncode, said.decode(errors="replace"))
    if problem is None and printed:
        text = printed.decode(errors="replace").strip()[:40]
        problem = f"{source.name}: prints {text!r} when it is imported, past Python's own output"
    if problem is not None:
        raise ClaimsFileError(problem)


def _ended(source: Source, trace: Path, limit: float, code: int | None, said: str) -> str:
    """Why a process ended without a report."""
    text = trace.read_text(encoding="utf-8", errors="replace") if trace.is_file() else ""
    lines = re.findall(rf'File "{re.escape(str(source.file))}", line (\d+)', text)
    place = f"{source.name}:{lines[0]}" if lines else source.name
    if "Timeout" in text or code is None:
        return f"{place}: still not imported after {limit:g} s ({LIMIT} sets the limit)"
    last = said.strip().splitlines()[-1][:100] if said.strip() else ""
    return f"{place}: ended Python when it was imported (exit code {code}{f': {last}' if last else ''})"


def _imported(source: Source) -> Loaded:
    """Import in this process; whatever it prints or raises is a :class:`ClaimsFileError`."""
    out = _Listening(source)
    try:
        with _streams(out), _alarm(source):
            module = _run(source)
        file = source.file or Path(str(module.__file__))
        if out.line is not None:
            raise ClaimsFileError(f"{out.line}: prints {out.text!r} when it is imported; results alone go to stdout")
        return Loaded(_paper(module, source, file), file, source.name)
    except ClaimsFileError:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ClaimsFileError(explain(error, source)) from None


def _run(source: Source) -> ModuleType:
    if source.file is None:
        return importlib.import_module(source.module)
    name = "claims_" + hashlib.sha256(str(source.file).encode()).hexdigest()[:12]
    spec = spec_from_file_location(name, source.file, loader=_Source(name, str(source.file)))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    folder = str(source.file.parent)
    sys.modules[name] = module
    sys.path.append(folder)  # last: a file beside it must not hide a library
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)
    return module


class _Source(SourceFileLoader):
    """Reads the source itself: compiled files are neither trusted nor left behind."""

    def path_stats(self, path: str) -> Mapping[str, Any]:
        raise OSError


class _Listening(io.TextIOBase):
    """Stands for stdout while a file is imported, and for an empty stdin; keeps who printed first."""

    def __init__(self, source: Source) -> None:
        self.source, self.text = source, ""
        self.line: str | None = None

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.line is None and text.strip():
            self.line = self.source.name + _line(self.source, sys._getframe(1))
            self.text = text.strip().splitlines()[0][:40]
        return len(text)


@contextlib.contextmanager
def _streams(out: _Listening) -> Iterator[None]:
    kept = sys.stdout, sys.stdin
    sys.stdout, sys.stdin = out, io.StringIO()
    try:
        yield
    finally:
        sys.stdout, sys.stdin = kept


def _line(source: Source, frame: FrameType | None) -> str:
    """``:line`` of the innermost call in the file, if there is one."""
    while frame is not None and frame.f_code.co_filename != str(source.file):
        frame = frame.f_back
    return "" if frame is None else f":{frame.f_lineno}"


@contextlib.contextmanager
def _alarm(source: Source) -> Iterator[None]:
    """Ends an import that hangs though its contents were seen before: where Python can be interrupted."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return
    limit = seconds()

    def late(number: int, frame: FrameType | None) -> None:
        place = f"{source.name}{_line(source, frame)}"
        raise ClaimsFileError(f"{place}: still not imported after {limit:g} s ({LIMIT} sets the limit)")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def explain(error: BaseException, source: Source, origin: str | None = None) -> str:
    """One line: the last line of the file that led to an error (else ``origin``), and the error."""
    said = " ".join(str(error).split())
    path = str(source.file)
    if isinstance(error, SyntaxError):
        place = f"{shown(error.filename)}:{error.lineno}" if error.filename and error.lineno else source.name
        return f"{place}: {error.msg}"
    if said.startswith(f"{path}:"):  # of a draft, which knows the line
        return said.replace(path, shown(path))
    frames = traceback.extract_tb(error.__traceback__)
    place = source.name if origin is None else origin.replace(path, shown(path))
    if source.file is None:  # an installed module: the last line of code that is neither ours nor the import system's
        ours = (str(SHIPPED_FOLDER.parent), str(Path(__file__).parent), str(Path(importlib.__file__).parent), "<frozen")
        theirs = [frame for frame in frames if not frame.filename.startswith(ours)]
        place = f"{shown(theirs[-1].filename)}:{theirs[-1].lineno}" if theirs else place
    else:
        lines = [frame.lineno for frame in frames if frame.filename == path]
        place = f"{source.name}:{lines[-1]}" if lines else place
    if isinstance(error, SystemExit):
        return f"{place}: ends Python when it is imported"
    name = type(error).__name__
    return f"{place}: {name}: {said}" if said else f"{place}: {name}"


def _paper(module: ModuleType, source: Source, file: Path) -> Paper:
    """What ``PAPER`` is, with functions that leave stdout alone."""
    from .draft import Draft
    from .stating import valid_key

    found = getattr(module, "PAPER", None)
    if found is None:
        raise ClaimsFileError(
            f"{source.name}:1: defines no PAPER; `tightframe new FILE --key KEY` writes a file that does"
        )
    line = ":1"
    if isinstance(found, Draft):
        line = f":{found.origin.rpartition(':')[2]}" if found.origin else ":1"
        found = found.paper()
    if not isinstance(found, Paper):
        raise ClaimsFileError(f"{source.name}:1: PAPER is a {type(found).__name__}, not a Draft or a Paper")
    if not valid_key(found.key):
        raise ClaimsFileError(f"{source.name}{line}: {found.key!r} is no key: letters, digits and _, a letter first")
    if not found.claims:
        raise ClaimsFileError(f"{source.name}{line}: defines no claims; state one with PAPER.claim(...)")
    return replace(found, claims=tuple(quiet(claim) for claim in found.claims))


def quiet(claim: Claim) -> Claim:
    """The claim with functions whose prints go to stderr."""
    predict = claim.predict
    return replace(
        claim,
        derive=_quietly(claim.derive),
        numerics=_quietly(claim.numerics),
        predict=None if predict is None else replace(predict, compute=_quietly(predict.compute)),
    )


def _quietly(function: Callable[..., Any] | None) -> Any:
    if function is None:
        return None

    @functools.wraps(function)
    def called(*arguments: Any, **named: Any) -> Any:
        with contextlib.redirect_stdout(sys.stderr):
            return function(*arguments, **named)

    return called


def main(words: Sequence[str]) -> None:
    """Import one source and write what is wrong: the process that :func:`load` starts."""
    name, report, trace, limit = words
    source = Source(file=Path(name)) if name.endswith(".py") else Source(module=name)
    importlib.import_module("tightframe.papers.draft")  # before the limit begins
    with open(trace, "w", encoding="utf-8") as file:
        # Later than the alarm of `_imported`, which names the line: for what no alarm interrupts.
        faulthandler.dump_traceback_later(float(limit) + 1, exit=True, file=file)
        problem: str | None = None
        try:
            _imported(source)
        except ClaimsFileError as error:
            problem = str(error)
        faulthandler.cancel_dump_traceback_later()
    Path(report).write_text(json.dumps({"problem": problem}), encoding="utf-8")
    sys.stdout.flush()
    os._exit(0)  # threads that it may have left do not keep it


if __name__ == "__main__":
    from tightframe.papers import claims_files  # one module of this name, not two

    claims_files.main(sys.argv[1:])
