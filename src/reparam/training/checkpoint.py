"""Checkpoints: each complete or absent, and never one that was damaged since."""

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from reparam.files import not_written, synced
from reparam.reading import parse_json, read_text

KEEP = 2
STATE = "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """What is needed to go on: tensors by group (``weights``, ``optimizer``, ``ema``, ...) and small values."""

    tensors: dict[str, dict[str, Tensor]]
    state: dict[str, Any]


def save_checkpoint(folder: Path, step: int, checkpoint: Checkpoint) -> Path:
    """Writes a checkpoint aside, syncs it, and renames it into place; older ones but one are removed.

    ``state.json`` is written last and holds the checksum of every file, its own content included. Those of later steps,
    which were damaged when the run went on from an earlier one, are removed too.

    Raises:
        RunError: if it cannot be written (disk full, read-only folder); earlier checkpoints stay as they are.
    """
    name = f"step-{step:09d}"
    final = _free(folder / "checkpoints" / name)
    aside = final.with_name(f".{final.name}.{os.getpid()}")
    try:
        aside.parent.mkdir(exist_ok=True)
        _remove_leftovers(aside.parent)
        aside.mkdir()
        for group, tensors in checkpoint.tensors.items():
            save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, _file(aside, group))
        checksums = {path.name: _checksum(path) for path in sorted(aside.iterdir())}
        (aside / STATE).write_text(_sealed({"state": checkpoint.state, "checksums": checksums}))
        for path in (*aside.iterdir(), aside):
            synced(path)
        os.replace(aside, final)
        synced(final.parent)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise not_written(f"The checkpoint of step {step} in {final.parent}", folder, error) from None
    earlier = [path for path in _checkpoints(folder) if path.name < name]
    for path in set(_checkpoints(folder)) - {final, *earlier[1 - KEEP :]}:
        shutil.rmtree(path, ignore_errors=True)
    return final


def _free(path: Path) -> Path:
    """The path, or the next one after it in the order of names: what is whole is never written over."""
    later = (path.with_name(f"{path.name}.{number:03d}") for number in range(1, 1000))
    return next(name for name in chain((path,), later) if not name.exists())


def _file(folder: Path, group: str) -> Path:
    return folder / f"{group}.safetensors"


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _sealed(content: dict[str, Any]) -> str:
    """JSON that carries the checksum of the rest of itself."""
    text = json.dumps(content, sort_keys=True)
    return json.dumps(content | {"checksum": hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}, indent=1)


def _opened(text: str) -> dict[str, Any]:
    """The content that was sealed.

    Raises:
        ValueError: if one character of it changed.
    """
    content: dict[str, Any] = parse_json(text)
    if not (isinstance(content, dict) and all(isinstance(content.get(name), dict) for name in ("state", "checksums"))):
        raise ValueError(f"{STATE} holds something else")
    if _sealed({name: value for name, value in content.items() if name != "checksum"}) != text:
        raise ValueError(f"the checksum of {STATE} does not fit")
    return content


def _remove_leftovers(folder: Path) -> None:
    """Removes what a killed run had begun to write; the lock on the run folder says that nobody else is writing."""
    for path in folder.glob(".step-*"):
        shutil.rmtree(path, ignore_errors=True)


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "checkpoints").glob("step-*") if path.is_dir())


def newest_checkpoint(folder: Path, device: torch.device | str = "cpu") -> Checkpoint | None:
    """The newest checkpoint that is whole, or None; each damaged one that is passed over gives a warning."""
    for path in reversed(_checkpoints(folder)):
        try:
            return _read(path, device)
        except (OSError, ValueError, LookupError, TypeError, SafetensorError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            warnings.warn(f"{path} is damaged ({reason}); an older checkpoint is used.", stacklevel=2)
    return None


def _read(path: Path, device: torch.device | str) -> Checkpoint:
    content = _opened(read_text(path / STATE))
    tensors = {}
    for name, checksum in content["checksums"].items():
        file = path / Path(name).name
        if _checksum(file) != checksum:
            raise ValueError(f"the checksum of {name} does not fit")
        tensors[file.stem] = load_file(file, device=str(device))
    return Checkpoint(tensors, content["state"])


def has_checkpoints(folder: Path) -> bool:
    """True where something was saved, whole or damaged."""
    return bool(_checkpoints(folder))


def about(folder: Path) -> dict[str, Any]:
    """What the newest readable checkpoint was told to keep about its run; empty where there is none."""
    for path in reversed(_checkpoints(folder)):
        with suppress(OSError, ValueError):
            found = _opened(read_text(path / STATE))["state"].get("about")
            if isinstance(found, dict):
                return found
    return {}


def numbered(states: Iterable[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The states of all players in one, by ``player.name``."""
    return {f"{number}.{name}": tensor.clone() for number, state in enumerate(states) for name, tensor in state.items()}


def of_number(states: dict[str, Tensor], number: int) -> dict[str, Tensor]:
    """The state of one player again."""
    prefix = f"{number}."
    return {name.removeprefix(prefix): tensor for name, tensor in states.items() if name.startswith(prefix)}
