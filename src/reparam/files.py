"""Writing files so that each is complete, or as it was before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place aside to write to; what was written there appears under the right name at the end, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield aside
        os.replace(aside, path)
    except OSError as error:
        error.filename = str(path)  # the name the user gave
        raise
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
