"""Finds the files of named data sets: in $REPARAM_DATA, in the user's cache, or at an address, always by checksum."""

from __future__ import annotations

import hashlib
import os
import tempfile
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO

from reparam.data.limits import CHUNK, readable_bytes
from reparam.errors import DataError

TIMEOUT_S = 30
MOST_BYTES = 1 << 30


@dataclass(frozen=True)
class File:
    """A file of a data set: its name, its checksum, and where its owner (or a mirror) offers it."""

    name: str
    sha256: str
    urls: tuple[str, ...] = ()


def cache_folder() -> Path:
    """``$REPARAM_CACHE``, else ``reparam`` in the user's cache folder."""
    own = os.environ.get("REPARAM_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "reparam"


def places(folder: str) -> list[Path]:
    """Where the files of a data set may lie, in the order in which we look."""
    given = os.environ.get("REPARAM_DATA")
    return [*([Path(given).expanduser() / folder] if given else []), cache_folder() / folder]


def at_hand(folder: str, file: File) -> Path | None:
    """The file, if it lies in one of the places; its content is not looked at."""
    return next((place / file.name for place in places(folder) if (place / file.name).is_file()), None)


def obtain(folder: str, file: File) -> Path:
    """The file, checked, downloaded into the cache if it is nowhere.

    Raises:
        DataError: if its checksum is wrong, or it cannot be had.
    """
    path = at_hand(folder, file)
    if path is None:
        return download(file, cache_folder() / folder)
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from None
    if digest != file.sha256:
        raise DataError(
            wrong_checksum(str(path), digest, file) + " Remove it, and it will be fetched again if it can be."
        )
    return path


def wrong_checksum(where: str, digest: str, file: File) -> str:
    """The sentence about a file with other content than ours."""
    return f"{where} has SHA-256 {digest[:12]}..., expected {file.sha256[:12]}...: it is damaged or another file."


def download(file: File, into: Path) -> Path:
    """Fetches a file from the first address that gives the right one; it appears whole or not at all.

    Raises:
        DataError: if none does.
    """
    reasons = []
    for url in file.urls:
        try:
            into.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=into, prefix=f".{file.name}.", delete=False) as aside:
                try:
                    digest = copy(url, aside)
                    if digest == file.sha256:
                        os.replace(aside.name, into / file.name)
                        return into / file.name
                    reasons.append(wrong_checksum(url, digest, file))
                finally:
                    Path(aside.name).unlink(missing_ok=True)
        except (OSError, HTTPException, ValueError) as error:
            reasons.append(f"{url}: {error}")
    why = "; ".join(reasons) or "no address of it is known"
    raise DataError(
        f"{file.name} could not be fetched ({why}). Put it into {into}, or into {into.name}/ below $REPARAM_DATA."
    )


def copy(url: str, aside: IO[bytes]) -> str:
    """Writes what an address gives to a file, flushed to disk, and returns its SHA-256.

    Raises:
        ValueError: if it gives more than any data set of ours has.
    """
    digest = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
        while piece := answer.read(CHUNK):
            if aside.tell() > MOST_BYTES:
                raise ValueError(f"it gives more than {readable_bytes(MOST_BYTES)}")
            digest.update(piece)
            aside.write(piece)
    aside.flush()
    os.fsync(aside.fileno())
    return digest.hexdigest()


def obtain_all(folder: str, files: Sequence[File]) -> dict[str, Path]:
    """All files of a data set by name."""
    return {file.name: obtain(folder, file) for file in files}
