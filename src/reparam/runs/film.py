"""How samples change while a game is trained: new examples of the same few codes, kept at each validation."""

from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from reparam.data import Data, DataSpec
from reparam.errors import RunError
from reparam.evaluation import evaluating
from reparam.files import replacing
from reparam.models import Autoencoder
from reparam.rng import seeded
from reparam.shapes import is_image

FOLDER, ENDING = "film", ".safetensors"
SHOWN = 10
MOST_FRAMES = 100


class Film:
    """Keeps what some codes are decoded to, one file for each validation: 8-bit pictures, or values of real data.

    A model that is told the class shows each class in turn; one that is told something else is told that of ten
    validation items.

    Args:
        model: Whose samples.
        data: What it is trained on; nothing but pictures is kept.
        folder: The run folder.
    """

    def __init__(self, model: Autoencoder, data: Data, folder: Path) -> None:
        self.model, self.data, self.folder = model, data, folder / FOLDER

    @cached_property
    def told(self) -> dict[str, Any]:
        """What the model is told of each sample, the same at every step."""
        if not self.model.conditions:
            return {}
        if set(self.model.conditions) == {"labels"}:
            return {"labels": torch.arange(SHOWN) % len(self.data.spec.classes)}
        split = (self.data.validation if len(self.data.validation) else self.data.train).subset(SHOWN, FOLDER)
        chosen = torch.arange(SHOWN, device=split.device) % len(split)
        return split.batch(chosen).pick(self.model.conditions)

    def keep(self, step: int) -> None:
        """Adds the frame of a step, or writes it again.

        Raises:
            RunError: if it cannot be written.
        """
        if not is_image(self.data.spec.shape):
            return
        with torch.no_grad(), evaluating(self.model), seeded("film"):
            frame = self.model.sample(SHOWN, **self.told).float()
        if self.data.spec.in_unit_interval:
            frame = frame.clamp(0, 1).mul(255).round().to(torch.uint8)
        path = self.folder / f"{step:09d}{ENDING}"
        try:
            with replacing(path) as aside:
                save_file({"pictures": frame.cpu().contiguous()}, aside)
        except (OSError, SafetensorError) as error:
            raise RunError(f"{path} could not be written: {error}.") from None


def frames(folder: Path, spec: DataSpec) -> tuple[list[int], Float[Tensor, "S N C H W"]]:
    """Steps of a run whose pictures were kept, at most 100 over all of it, and the pictures, in units of the data.

    Those of other data are left out.
    """
    steps, pictures = [], []
    found = sorted((folder / FOLDER).glob(f"[0-9]*{ENDING}"))
    every = torch.linspace(0, len(found) - 1, min(MOST_FRAMES, len(found))).round().int().tolist()
    for path in (found[number] for number in every):
        try:
            frame = load_file(path).get("pictures")
        except (OSError, SafetensorError):
            continue
        if path.stem.isdigit() and frame is not None and tuple(frame.shape) == (SHOWN, *spec.shape):
            steps.append(int(path.stem))
            pictures.append(frame.float() / (255 if frame.dtype == torch.uint8 else 1))
    return steps, torch.stack(pictures) if pictures else torch.zeros(0, SHOWN, *spec.shape)
