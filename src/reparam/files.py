"""Writing files so that each is complete, or as it was before, and by one process at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reparam.errors import RunError

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]


def synced(path: Path) -> None:
    """Waits until a file, or the list of files in a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place aside to write to; what was written there appears under the right name at the end, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield aside
        synced(aside)
        os.replace(aside, path)
    except OSError as error:
        error.filename = str(path)  # the name the user gave
        raise
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def not_written(what: str, folder: Path, error: Exception) -> RunError:
    """What to say of a part of a run that could not be written: how to go on, where something is left to go on with.

    Args:
        what: The part.
        folder: The run folder.
        error: Why.
    """
    if not folder.is_dir():
        return RunError(
            f"{what} cannot be written: the run folder {folder} is no longer there, nor anything that it held. Train "
            "again, and leave the folder where it is meanwhile."
        )
    return RunError(
        f"{what} cannot be written: {getattr(error, 'strerror', None) or error}. What was saved before stays; mend "
        f"that and go on with: reparam resume {folder}"
    )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps others from training in a folder for a block; the lock of a process that was killed is gone with it.

    Raises:
        RunError: if another process holds it, or the folder cannot be written.
    """
    try:
        file = (folder / ".lock").open("a")
    except OSError as error:
        raise RunError(f"The run folder {folder} cannot be written: {error.strerror}. Give another --out.") from None
    with file:
        try:
            if fcntl:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"Another process is training in {folder} right now. Wait for its end, or give another --out."
            ) from None
        except OSError:  # a file system without locks
            pass
        yield
