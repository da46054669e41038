"""Checkpoints: each complete or absent."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from reparam.errors import RunError

KEEP = 2


@dataclass(frozen=True)
class Checkpoint:
    """What is needed to go on: tensors by group (``weights``, ``optimizer``, ``ema``, ...) and small numbers."""

    tensors: dict[str, dict[str, Tensor]]
    state: dict[str, Any]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def save_checkpoint(folder: Path, step: int, checkpoint: Checkpoint) -> Path:
    """Writes a checkpoint aside, syncs it, and renames it into place; older ones but one are removed.

    Raises:
        RunError: if it cannot be written (disk full, read-only folder); earlier checkpoints stay as they are.
    """
    final = folder / "checkpoints" / f"step-{step:09d}"
    aside = final.with_name(f".{final.name}.{os.getpid()}")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        for group, tensors in checkpoint.tensors.items():
            save_file(
                {name: t.detach().contiguous().clone() for name, t in tensors.items()}, aside / f"{group}.safetensors"
            )
        (aside / "state.json").write_text(json.dumps(checkpoint.state, indent=1))
        for path in aside.iterdir():
            _sync(path)
        shutil.rmtree(final, ignore_errors=True)
        os.replace(aside, final)
        _sync(final.parent)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise RunError(f"The checkpoint of step {step} could not be written to {final.parent}: {error}.") from None
    for old in _checkpoints(folder)[:-KEEP]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "checkpoints").glob("step-*") if (path / "state.json").exists())


def newest_checkpoint(folder: Path, device: torch.device | str = "cpu") -> Checkpoint | None:
    """The newest checkpoint that can be read, or None."""
    for path in reversed(_checkpoints(folder)):
        try:
            tensors = {file.stem: load_file(file, device=str(device)) for file in path.glob("*.safetensors")}
            return Checkpoint(tensors, json.loads((path / "state.json").read_text()))
        except Exception:
            continue
    return None
