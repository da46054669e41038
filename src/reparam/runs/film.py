"""How samples change while a game is trained: new examples of the same few codes, kept at each validation."""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from reparam.data import DataSpec
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
    """Keeps what some codes are decoded to, as 8-bit pictures, one file for each validation.

    Args:
        model: Whose samples.
        spec: What its data are; nothing but pictures on the scale of [0, 1] is kept.
        folder: The run folder.
    """

    def __init__(self, model: Autoencoder, spec: DataSpec, folder: Path) -> None:
        self.model, self.spec, self.folder = model, spec, folder / FOLDER

    def keep(self, step: int) -> None:
        """Adds the frame of a step, or writes it again.

        Raises:
            RunError: if it cannot be written.
        """
        if not is_image(self.spec.shape) or self.spec.kind == "real" or set(self.model.conditions) - {"labels"}:
            return
        told: dict[str, Any] = {"labels": torch.arange(SHOWN) % len(self.spec.classes)} if self.model.conditions else {}
        with torch.no_grad(), evaluating(self.model), seeded("film"):
            pictures = self.model.sample(SHOWN, **told)
        frame = pictures.detach().float().clamp(0, 1).mul(255).round().to(torch.uint8).cpu().contiguous()
        path = self.folder / f"{step:09d}{ENDING}"
        try:
            with replacing(path) as aside:
                save_file({"pictures": frame}, aside)
        except (OSError, SafetensorError) as error:
            raise RunError(f"{path} could not be written: {error}.") from None


def frames(folder: Path, spec: DataSpec) -> tuple[list[int], Float[Tensor, "S N C H W"]]:
    """Steps of a run whose pictures were kept, at most 100 over all of it, and the pictures, in [0, 1].

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
            pictures.append(frame.float() / 255)
    return steps, torch.stack(pictures) if pictures else torch.zeros(0, SHOWN, *spec.shape)
