"""The evidence store: one small file a claim and kind of evidence, never trusted further than it can be re-checked."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..theory.proof import checker
from .evidence import Evidence

FORMAT = 1


class StoreError(OSError):
    """The store cannot be used; the message says what was expected."""


def default_folder() -> Path:
    """The user's cache folder for tightframe (``TIGHTFRAME_STORE`` overrides it)."""
    import platformdirs

    return Path(os.environ.get("TIGHTFRAME_STORE") or Path(platformdirs.user_cache_dir("tightframe")) / "evidence")


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write text (UTF-8) or bytes beside the file, then rename: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@dataclass(frozen=True)
class Record:
    """A stored piece of evidence with what it rests on, and its certificate or witness if it has one."""

    key: Mapping[str, Any]
    evidence: Evidence
    certificate: Mapping[str, Any] | None = None

    def json(self) -> dict[str, Any]:
        evidence, key = self.evidence.json(), dict(self.key)
        body = {"format": FORMAT, "key": key, "evidence": evidence, "certificate": self.certificate}
        return body | {"digest": _digest(body)}


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Store:
    """A folder of records, named by claim, kind, seed and budget.

    A record counts only if its key (claim hash, source hash, versions, seed, budget) is the one asked for. Records that
    cannot be read, or whose digest is wrong, are set aside under another name and reported on stderr.
    """

    folder: Path

    def path(self, key: Mapping[str, Any]) -> Path:
        name = f"{key['claim'].replace('/', '.')}.{key['kind']}.{key['seed']}.{key['budget']}.json"
        return self.folder / name

    def require_writable(self) -> None:
        """Fail early, before anything is computed, if nothing can be stored."""
        try:
            write_atomically(self.folder / ".writable", "")
            (self.folder / ".writable").unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot write to the store {self.folder} ({error.strerror}); choose --store DIR"
            ) from None

    def get(self, key: Mapping[str, Any]) -> Record | None:
        path = self.path(key)
        try:
            data = json.loads(path.read_bytes())
            digest = data.pop("digest")
            if data["format"] != FORMAT or digest != _digest(data) or not isinstance(data["key"], dict):
                raise ValueError("its contents were changed")
            certificate = data["certificate"]
            if certificate is not None and not isinstance(certificate, dict):
                raise ValueError("its certificate is not an object")
            record = Record(data["key"], Evidence.from_json(data["evidence"]), certificate)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"cannot read the store record {path} ({error.strerror}); choose --store DIR") from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            self._set_aside(path, str(error) or type(error).__name__)
            return None
        return record if record.key == key else None

    def put(self, record: Record) -> None:
        try:
            write_atomically(self.path(record.key), json.dumps(record.json(), indent=1) + "\n")
        except OSError as error:
            raise StoreError(
                f"cannot write to the store {self.folder} ({error.strerror}); choose --store DIR"
            ) from None

    def _set_aside(self, path: Path, reason: str) -> None:
        aside = path.with_name(path.name + ".corrupt")
        try:
            os.replace(path, aside)
        except OSError:
            aside = path
        print(f"tightframe: set aside the corrupt store record {aside} ({reason[:80]})", file=sys.stderr)

    def clear(self) -> int:
        """Delete every record (and what was set aside); how many files that were."""
        found = sorted(self.folder.glob("*.json*")) if self.folder.is_dir() else []
        for path in found:
            path.unlink(missing_ok=True)
        return len(found)


# ---------------------------------------------------------------------------------------------- shipped certificates

CERTIFICATES = Path(__file__).resolve().parent / "certificates"
BESIDE = "certificates"  # the folder beside a claims file that holds the certificates of its claims


def certificate_folder(claim_id: str) -> Path:
    """Where the certificate of a claim lies: in the package, or beside the claims file that the claim is in."""
    from . import registry

    key = claim_id.partition("/")[0]
    return registry.home(key).parent / BESIDE if registry.is_own(key) else CERTIFICATES


def shipped_certificate(claim_id: str, folder: Path | None = None) -> Mapping[str, Any] | None:
    """The certificate that came with a claim; ``None`` if there is none or it cannot be read."""
    path = (folder or certificate_folder(claim_id)) / f"{claim_id}.json"
    try:
        data = checker.loads(path.read_bytes())
        return checker.as_mapping(data, "certificate")
    except FileNotFoundError:
        return None
    except (OSError, checker.Malformed) as error:
        print(f"tightframe: ignored the certificate {path}: {error}", file=sys.stderr)
        return None


def trial_path(claim_id: str, folder: Path | None = None) -> Path:
    """Where the figures of the trial of a claim's mutants are kept."""
    return (folder or certificate_folder(claim_id)) / "mutants" / f"{claim_id}.json"


def shipped_trial(claim_id: str, claim_hash: str, folder: Path | None = None) -> Mapping[str, Any] | None:
    """What became of the mutants of a claim, as recorded; ``None`` if never, or of another statement than today's."""
    path = trial_path(claim_id, folder)
    try:
        data = checker.as_mapping(checker.loads(path.read_bytes()), "trial")
    except FileNotFoundError:
        return None
    except (OSError, checker.Malformed) as error:
        print(f"tightframe: ignored the trial {path}: {error}", file=sys.stderr)
        return None
    return data if data.get("hash") == claim_hash else None


def runs_path(claim_id: str, folder: Path = CERTIFICATES) -> Path:
    """Where the numbers of the runs behind an empirical claim are kept."""
    return folder / "runs" / f"{claim_id}.json"


def shipped_runs(claim_id: str, claim_hash: str, folder: Path | None = None) -> Mapping[str, Any] | None:
    """The numbers of the runs that came with the package; ``None`` if there are none, or for another statement."""
    path = runs_path(claim_id, folder or certificate_folder(claim_id))
    try:
        data = json.loads(path.read_bytes())
        if not isinstance(data, dict) or data.get("hash") != claim_hash or not isinstance(data.get("numbers"), dict):
            raise ValueError("not the runs of this claim")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        print(f"tightframe: ignored the runs {path}: {error}", file=sys.stderr)
        return None
    numbers: Mapping[str, Any] = data["numbers"]
    return numbers
