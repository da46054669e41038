"""Optimisers: PyTorch's kernels over the parameters of a player, with gradients that are handed in."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adamax, RMSprop
from torch.optim import Optimizer as TorchOptimizer

from reparam.training.settings import TrainSettings
from reparam.training.sharding import gathered, own_part, put

EPS = 1e-8
NOTHING, SWEEP = 1e-30, 64
COUNT = "step"


class Optimizer(ABC):
    """Moves parameters, and gives its state as tensors.

    Args:
        parameters: What it moves.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.whole = list(parameters)
        self.parameters = [own_part(parameter) for parameter in self.whole]

    @abstractmethod
    def step(
        self,
        gradients: Sequence[Tensor | None],
        rate: float,
        scale: Tensor | None = None,
        skip: Tensor | None = None,
    ) -> None:
        """Moves every parameter that has a gradient; to be called without recording gradients.

        Args:
            gradients: One for each parameter; None leaves that one alone.
            rate: Learning rate.
            scale: (), what the gradients are divided by.
            skip: (), 1.0 to leave the step out.
        """

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """The moments and the counts of steps, by number of parameter, whole."""

    @abstractmethod
    def load(self, state: dict[str, Tensor]) -> None:
        """Takes back what :meth:`state` gave, whatever the memory layout."""


class Adam(Optimizer):
    """Adam, or AdamW, in one call of PyTorch's fused kernel for all parameters.

    It gives what ``torch.optim.Adam(fused=True)`` gives, bit for bit but for moments that mean nothing, and leaves out
    what that does in Python at every step, which costs as much as a layer of a small network. Gradients must be laid
    out like their parameters.

    On the CPU every 64th step takes moments below 1e-30 for zero. They move a weight by less than 1e-24, and where a
    unit is dead or a latent unused they shrink on and on: below 1.2e-38 they are subnormal numbers, which an Intel core
    takes fourteen times as long to compute with.

    Args:
        parameters: What it moves.
        betas: Decays of the first and second moments.
        weight_decay: Share of each weight that a step of learning rate 1 takes away.
        decoupled: AdamW's weight decay, which stays out of the gradient.
    """

    def __init__(
        self, parameters: Sequence[Tensor], betas: tuple[float, float], weight_decay: float, decoupled: bool
    ) -> None:
        super().__init__(parameters)
        self.first = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.second = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.steps = [parameter.new_zeros((), dtype=torch.float32) for parameter in self.parameters]
        self.fixed = {"beta1": betas[0], "beta2": betas[1], "weight_decay": weight_decay, "eps": EPS}
        self.kernel: Callable[..., None] = torch._fused_adamw_ if decoupled else torch._fused_adam_

    def step(
        self,
        gradients: Sequence[Tensor | None],
        rate: float,
        scale: Tensor | None = None,
        skip: Tensor | None = None,
    ) -> None:
        lists: list[Sequence[Any]] = [self.parameters, gradients, self.first, self.second]
        steps = self.steps
        if any(gradient is None for gradient in gradients):
            chosen = [number for number, gradient in enumerate(gradients) if gradient is not None]
            lists = [[values[n] for n in chosen] for values in lists]
            steps = [steps[n] for n in chosen]
        torch._foreach_add_(steps, 1.0)
        self.kernel(
            *lists, [], steps, lr=rate, amsgrad=False, maximize=False, grad_scale=scale, found_inf=skip, **self.fixed
        )
        if skip is not None:
            torch._foreach_sub_(steps, [skip] * len(steps))
        if steps[0].device.type == "cpu" and int(steps[0]) % SWEEP == 0:
            for moment in (*lists[2], *lists[3]):
                moment.masked_fill_(moment.abs() < NOTHING, 0.0)

    def state(self) -> dict[str, Tensor]:
        found = {f"{number}.step": steps for number, steps in enumerate(self.steps)}
        return found | {name: gathered(*pair) for name, pair in self._moments()}

    def _moments(self) -> Iterator[tuple[str, tuple[Tensor, Tensor]]]:
        """Each moment by name, beside the parameter it belongs to."""
        for name, group in (("first", self.first), ("second", self.second)):
            for number, pair in enumerate(zip(group, self.whole, strict=True)):
                yield f"{number}.{name}", pair

    @torch.no_grad()
    def load(self, state: dict[str, Tensor]) -> None:
        for number, steps in enumerate(self.steps):
            steps.copy_(state[f"{number}.step"])
        for name, (moment, parameter) in self._moments():
            put(state[name], moment, parameter)


class Wrapped(Optimizer):
    """One of PyTorch's own optimisers. Off the CPU each step waits for the device, to see whether it is left out.

    Args:
        parameters: What it moves.
        make: Makes the optimiser of parameters.
    """

    def __init__(self, parameters: Sequence[Tensor], make: Callable[[list[Tensor]], TorchOptimizer]) -> None:
        super().__init__(parameters)
        self.inner = make(self.parameters) if self.parameters else None

    def step(
        self,
        gradients: Sequence[Tensor | None],
        rate: float,
        scale: Tensor | None = None,
        skip: Tensor | None = None,
    ) -> None:
        if self.inner is None or (skip is not None and skip.item()):
            return
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient if gradient is None or scale is None else gradient / scale
        self.inner.param_groups[0]["lr"] = rate
        self.inner.step()
        self.inner.zero_grad()

    def state(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        if self.inner is None:
            return found
        for number, (part, whole) in enumerate(zip(self.parameters, self.whole, strict=True)):
            for name, value in self.inner.state[part].items():
                if isinstance(value, Tensor):
                    found[f"{number}.{name}"] = value if name == COUNT else gathered(value, whole)
        return found

    @torch.no_grad()
    def load(self, state: dict[str, Tensor]) -> None:
        if self.inner is None:
            return
        self.inner.state.clear()
        for key, value in state.items():
            number, name = key.split(".")
            part, whole = self.parameters[int(number)], self.whole[int(number)]
            if name == COUNT:
                held = value.cpu().clone()
            else:
                held = torch.zeros_like(part)
                put(value, held, whole)
            self.inner.state[part][name] = held


def make_optimizer(parameters: Sequence[Tensor], settings: TrainSettings) -> Optimizer:
    """The optimiser that the settings name."""
    (first, second), decay = settings.betas, settings.weight_decay
    wrapped: dict[str, Callable[[list[Tensor]], TorchOptimizer]] = {
        "adamax": lambda own: Adamax(own, betas=(first, second), eps=EPS, weight_decay=decay),
        "rmsprop": lambda own: RMSprop(own, alpha=second, eps=EPS, weight_decay=decay),
        "sgd": lambda own: SGD(own, momentum=first, weight_decay=decay),
    }
    if settings.optimizer in wrapped:
        return Wrapped(parameters, wrapped[settings.optimizer])
    return Adam(parameters, settings.betas, decay, decoupled=settings.optimizer == "adamw")
