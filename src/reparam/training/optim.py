"""One step of each player, and the learning rate over the steps."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from reparam.processes import Processes, is_part
from reparam.trace import Player, Progress
from reparam.training.optimizers import make_optimizer
from reparam.training.settings import TrainSettings
from reparam.training.sharding import own_part

SMALLEST_SCALE = 2.0**-14
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def autocast(device: torch.device, settings: TrainSettings) -> AbstractContextManager[object]:
    """The numbers that a pass computes with, as ``precision`` says."""
    if settings.precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, DTYPES[settings.precision])


class Update:
    """Moves one player's parameters down the gradient of its loss, and no parameter of anybody else.

    Frozen parameters (``requires_grad`` false) stay as they are, whatever the weight decay. The gradient is averaged
    over the processes and its norm is clipped. A loss or a gradient that is not finite moves nothing: on the CPU it is
    seen at once, elsewhere the kernel of Adam sees it and nothing waits for it.

    Args:
        player: Whose parameters.
        settings: Optimiser, learning rate, clipping and precision.
        processes: Who else works on the same batch.
    """

    def __init__(self, player: Player, settings: TrainSettings, processes: Processes) -> None:
        self.clip, self.processes = settings.clip, processes
        self.parameters = [parameter for parameter in player.parameters if parameter.requires_grad]
        self.device = next((parameter.device for parameter in player.parameters), torch.device("cpu"))
        self.optimizer = make_optimizer(self.parameters, settings)
        self.scale = LossScale(self.device) if settings.precision == "float16" else None
        self.parts = [is_part(parameter) for parameter in self.parameters]

    def step(self, loss: Tensor, rate: float) -> Tensor | bool:
        """Takes one step with this learning rate, without recording gradients; True, or (), where it was taken."""
        with torch.enable_grad():
            scaled = loss if self.scale is None else loss * self.scale.value
        found = self._gradients(scaled)
        if all(gradient is None for gradient in found):  # a player who rests
            return True
        gradients = [_laid_out(*pair) for pair in zip(found, self.optimizer.parameters, strict=True)]
        if self.processes.world > 1:
            loss = loss.clone()
            self.processes.average([*self._present(gradients, parts=False), loss])
        step = self._step_here if self.device.type == "cpu" else self._step_there
        return step(gradients, loss, rate)

    def _gradients(self, loss: Tensor) -> Sequence[Tensor | None]:
        """The loss's gradient, of each parameter or of what this process holds of it; those of parts are averages."""
        if not self.parameters:
            return []
        if not any(self.parts):
            return torch.autograd.grad(loss, self.parameters, allow_unused=True)
        loss.backward()  # on its way the layers are gathered, their gradients spread
        return [None if parameter.grad is None else own_part(parameter.grad) for parameter in self.parameters]

    def _present(self, gradients: Sequence[Tensor | None], parts: bool) -> list[Tensor]:
        """The gradients there are, of whole parameters or of those shared out."""
        pairs = zip(gradients, self.parts, strict=True)
        return [gradient for gradient, part in pairs if gradient is not None and part == parts]

    def _squares(self, gradients: Sequence[Tensor | None]) -> list[Tensor]:
        """What the squared norm of the gradient is the sum of, each ()."""
        squares = [torch.dot(flat, flat) for flat in map(_in_memory_order, self._present(gradients, parts=False))]
        if any(self.parts):
            zero = self.optimizer.parameters[0].new_zeros(())
            own = sum((part.square().sum() for part in self._present(gradients, parts=True)), zero)
            squares.append(self.processes.total(own))
        return squares

    def _step_here(self, gradients: Sequence[Tensor | None], loss: Tensor, rate: float) -> bool:
        norm = math.sqrt(sum(square.item() for square in self._squares(gradients)))
        scale = 1.0 if self.scale is None else self.scale.value.item()
        sound = math.isfinite(loss.item())
        finite = sound and math.isfinite(norm)
        if finite:
            divisor = scale if self.clip is None else scale * max(1.0, norm / (scale * self.clip))
            if divisor != 1.0:  # not in place: two parameters may have been given one tensor
                gradients = [None if gradient is None else gradient / divisor for gradient in gradients]
            self.optimizer.step(gradients, rate)
        if self.scale is None:
            return finite
        self.scale.update(torch.tensor(math.isfinite(norm)))
        return sound and (finite or scale > SMALLEST_SCALE)  # an overflow of the gradient is the scale's affair

    def _step_there(self, gradients: Sequence[Tensor | None], loss: Tensor, rate: float) -> Tensor:
        norm = torch.stack(self._squares(gradients)).sum().sqrt()
        scale = norm.new_ones(()) if self.scale is None else self.scale.value.clone()
        sound = torch.isfinite(loss)
        finite = sound & torch.isfinite(norm)
        divisor = scale if self.clip is None else scale * torch.clamp_min(norm / (scale * self.clip), 1.0)
        self.optimizer.step(gradients, rate, divisor.float(), finite.logical_not().float())
        if self.scale is None:
            return finite
        self.scale.update(torch.isfinite(norm))
        return sound & (finite | (scale > SMALLEST_SCALE))


class LossScale:
    """Keeps float16 gradients away from zero and infinity: halved after an overflow, doubled after long peace.

    Source:
        Mixed precision training (Micikevicius et al., 2018), arXiv:1710.03740, section 3.2.
    """

    def __init__(self, device: torch.device, first: float = 2.0**16, peace: int = 2000) -> None:
        self.value = torch.tensor(first, device=device)
        self.calm = torch.zeros((), device=device)
        self.peace = peace

    def update(self, finite: Tensor) -> None:
        """Takes note of a step."""
        self.calm = torch.where(finite, self.calm + 1, 0.0)
        self.value = torch.where(finite, self.value, (self.value / 2).clamp_min(SMALLEST_SCALE))
        self.value = torch.where(self.calm >= self.peace, self.value * 2, self.value)
        self.calm = torch.where(self.calm >= self.peace, 0.0, self.calm)

    def state(self) -> dict[str, Tensor]:
        """The scale and the steps since it changed."""
        return {"scale": self.value, "calm": self.calm}

    def load(self, state: dict[str, Tensor]) -> None:
        """Takes back what :meth:`state` gave."""
        self.value, self.calm = state["scale"], state["calm"]


def _laid_out(gradient: Tensor | None, parameter: Tensor) -> Tensor | None:
    """The gradient in the memory layout of its parameter, which the kernel takes for granted."""
    if gradient is None or gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


def _in_memory_order(tensor: Tensor) -> Tensor:
    """All values as a vector, without a copy where they lie side by side in whatever order."""
    if tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last):
        tensor = tensor.permute(0, 2, 3, 1)
    elif tensor.dim() == 2 and not tensor.is_contiguous():
        tensor = tensor.t()
    return tensor.reshape(-1)


def rate_factor(settings: TrainSettings, progress: Progress, halvings: int) -> float:
    """The learning rate at this point, as a share of its peak."""
    fraction = progress.fraction
    warmup = settings.learning_rate_warmup
    if progress.planned_fraction < warmup:
        return min(1.0, (progress.step + 1) / (warmup * (progress.planned_steps or progress.total_steps)))
    if settings.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * max(0.0, fraction - warmup) / max(1e-9, 1 - warmup)))
    return 0.5**halvings if settings.schedule == "plateau" else 1.0
