"""Saving and loading models: config.json beside weights.safetensors, never a pickle."""

import json
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from reparam.arguments import checked
from reparam.composing import describe, rebuild
from reparam.data import DataSpec
from reparam.errors import RunError, RunNotFoundError
from reparam.files import synced
from reparam.models import Autoencoder
from reparam.reading import read_json
from reparam.recipes import Built, parts_of
from reparam.rng import seeded
from reparam.shapes import difference, numel
from reparam.trust import trusting
from reparam.weighing import FAULTS

FORMAT = 1
FILES = {"config.json", "weights.safetensors"}
MOST_VALUES = 1 << 28
DAMAGE = (OSError, SafetensorError, *FAULTS)


@checked
def save(model: Autoencoder, folder: Path | str, spec: DataSpec | None = None) -> Path:
    """Writes a model folder: complete, or as it was before.

    Args:
        model: Composed from reparam's parts, or from modules of your own that keep their constructors' arguments as
            attributes of the same names and can be imported.
        folder: The folder to write; an older model there is replaced.
        spec: What the data are, for those who load it.
    Raises:
        PartError: if the model holds a part that nobody could build again.
        RunError: if the folder cannot be written, or holds other files.
    """
    return keep(model, Path(folder), spec, describe(model, "model"))


def keep(model: nn.Module, folder: Path, spec: DataSpec | None, described: Mapping[str, Any] | None) -> Path:
    """Writes a model folder of a model that is described already, or, with None, of one that cannot be.

    Raises:
        RunError: if the folder cannot be written, or holds other files.
    """
    built = getattr(model, "built", None)
    training = built.written(described) if built else None
    names = list(getattr(model, "class_names", ()))
    content = {"format": FORMAT, "model": described, "data": asdict(spec) if spec else None, "training": training}
    return write_folder(folder, content | {"classes": names}, model.state_dict())


def write_folder(folder: Path, content: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Path:
    """Writes config.json and weights.safetensors into a folder: both complete, or as they were before.

    Raises:
        RunError: if the folder cannot be written, or holds other files.
    """
    others = {path.name for path in folder.iterdir()} - FILES if folder.is_dir() else set()
    if others:
        raise RunError(
            f"{folder} holds other files ({min(others)}). Save into a folder of its own, such as {folder / 'model'}."
        )
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        (aside / "config.json").write_text(json.dumps(content, indent=1))
        kept = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}
        save_file(kept, aside / "weights.safetensors")
        for path in (*aside.iterdir(), aside):
            synced(path)
        replaced = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(replaced, ignore_errors=True)
        if folder.exists():
            os.replace(folder, replaced)
        os.replace(aside, folder)
        shutil.rmtree(replaced, ignore_errors=True)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise RunError(f"{folder} could not be written: {error}.") from None
    return folder


def model_folder(path: Path | str) -> Path:
    """The model folder of a run folder, or the folder itself.

    Raises:
        RunNotFoundError: if there is no model.
    """
    path = Path(path)
    for folder in (path / "model", path, path / ".model.old"):
        if (folder / "config.json").is_file() and (folder / "weights.safetensors").is_file():
            return folder
    if (path / "config.yaml").is_file():
        raise RunNotFoundError(f"{path} was stopped before it had a model. Go on with: reparam resume {path}")
    what = (
        "exists but holds no model (model/config.json and model/weights.safetensors)"
        if path.exists()
        else "is not there"
    )
    raise RunNotFoundError(f"{path} {what}. Give the folder that 'reparam train --out' wrote.")


def load_with_spec(
    path: Path | str, device: torch.device | str = "cpu", into: Autoencoder | None = None
) -> tuple[Autoencoder, DataSpec | None]:
    """A model and what its data are, from a run folder or a model folder.

    Raises:
        RunNotFoundError: if there is no model.
        RunError: if a file is damaged, or from a newer version, or of code that is not trusted or cannot be built.
    """
    folder = model_folder(path)
    try:
        content: dict[str, Any] = read_json(folder / "config.json")
        if content["format"] > FORMAT:
            raise RunError(f"{folder}: written by a newer reparam (format {content['format']:.10g}). Upgrade reparam.")
        spec = spec_of(content["data"])
        weights = folder / "weights.safetensors"
        if content["model"] is None and into is None:
            raise RunError(
                f"{folder} holds the weights of a model that cannot be built from its description. Build it, and load "
                "them: reparam.load(path, into=model)."
            )
        with seeded("rebuild"):  # initial values are drawn and thrown away; the caller's generator stays as it is
            model = rebuild(content["model"], "model", stored(weights)) if into is None else into
        if into is not None:
            _require_fit(into, folder)
        if numel(model.data_shape) > MOST_VALUES or (spec and spec.shape != model.data_shape):
            raise ValueError(f"it is a model of examples of shape {str(model.data_shape)[:100]}")
        load_weights(model, folder)
        if (training := content.get("training")) is not None:
            model.built = Built.read(training, parts_of(model))
        names = TypeAdapter(tuple[str, ...]).validate_python(content.get("classes", ()))
        model.class_names = names or (spec.class_names if spec else model.class_names)
    except DAMAGE as error:
        if isinstance(error, RunError):
            raise
        reason = " ".join(str(error).split())[:300]
        raise RunError(
            f"{folder}: the model is damaged, or of another version ({type(error).__name__}: {reason})."
        ) from None
    return model.to(device).eval(), spec


def stored(weights: Path) -> int:
    """How many numbers the file holds; its header is checked against its size."""
    with safe_open(weights, framework="pt") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 - no mapping


def _require_fit(model: nn.Module, folder: Path) -> None:
    """Checks that a model takes the weights of a folder, before any of its own is lost.

    Raises:
        RunError: if it has others.
    """
    own = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    with safe_open(folder / "weights.safetensors", framework="pt") as file:
        held = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - no mapping
    if wrong := difference(held, own):
        raise RunError(f"{folder}: the weights do not fit the given model ({wrong}). Build it as it was.")


def load_weights(model: nn.Module, folder: Path) -> None:
    """Loads the weights of a model folder; those of 64 bits make the model one of 64 bits."""
    weights = load_file(folder / "weights.safetensors")
    if any(weight.dtype == torch.float64 for weight in weights.values()):
        model.double()
    model.load_state_dict(weights)


@checked
def load(
    path: Path | str,
    device: torch.device | str = "cpu",
    *,
    trust_code: bool = False,
    into: Autoencoder | None = None,
) -> Autoencoder:
    """A model from a run folder or a model folder, ready to use.

    Args:
        path: The folder.
        device: Where to put it.
        trust_code: Whether classes that do not come with reparam may be imported, by the import paths in the folder.
            Importing runs their code: say so only of folders whose origin you trust.
        into: A model that takes the weights, in place of one that is built as the folder describes it.
    Raises:
        RunNotFoundError: if there is no model.
        RunError: if a file is damaged, or from a newer version, or asks for code that is not trusted.
    """
    with trusting(trust_code):
        return load_with_spec(path, device, into)[0]


def spec_of(values: dict[str, Any] | None) -> DataSpec | None:
    """What data are, from what ``asdict`` made of it; None of None."""
    if values is None:
        return None
    fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    DataSpec(**fields)  # fails where a field is unknown or missing
    return TypeAdapter(DataSpec).validate_python(fields)
