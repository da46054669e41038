"""What models have in common that may be told something of each example: a condition, for the parts that take one."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Size, Tensor, nn

from reparam.errors import PartError, RefusedError, ShapeError
from reparam.models.base import Autoencoder
from reparam.networks import Condition
from reparam.priors import Prior


class Told(Autoencoder):
    """A model with a condition, or without one.

    Attributes:
        condition: What the model is told of each example, or None.
    """

    condition: Condition | None

    @property
    def some_told(self) -> dict[str, Any]:
        return {} if self.condition is None else {self.condition.name: self.condition.example}

    @torch.no_grad()
    def start(self, x: Float[Tensor, "N ..."], **named: Any) -> None:
        super().start(x)
        if self.condition is not None and self.condition.starts:
            self.condition.start(named[self.condition.name])

    def told(self, named: Mapping[str, Any]) -> Tensor:
        """The condition: of some examples, (*B, C), or of all, (C,), which may be given as one of a batch of one.

        Raises:
            RefusedError: if nothing was told.
        """
        assert self.condition is not None
        name = self.condition.name
        value = named.get(name, self._told.get(name))
        if value is None:
            raise RefusedError(
                f"This model must be told {name!r} of each example. Pass {name}=..., or take model.given({name}=...)."
            )
        c: Tensor = self.condition(self._placed(name, value).to(next(self.parameters()).device))
        return c[0] if c.ndim == 2 and len(c) == 1 else c

    def told_to(self, part: nn.Module | None, named: Mapping[str, Any]) -> Tensor | None:
        """The condition for a part that takes it; None for others."""
        return self.told(named) if self.condition is not None and hasattr(part, "condition_dim") else None

    def require_told(self) -> None:
        """Checks that a condition reaches a part, and that parts agree on it.

        Raises:
            PartError: if it does not.
        """
        owner = type(self).__name__
        dims = {type(part).__name__: part.condition_dim for part in self.children() if hasattr(part, "condition_dim")}
        given = 0 if self.condition is None else self.condition.dim
        for name, dim in dims.items():
            if dim != given:
                raise PartError(
                    f"{owner}: {name} takes a condition of {dim} numbers, the model has one of {given}. "
                    f"Build it with condition_dim={given}, or give a condition of that length."
                )
        if given and not dims:
            raise PartError(
                f"{owner}: there is a condition, but no part takes it. Take a conditional part (in a configuration, "
                "name one in condition_into)."
            )

    def require_encodes(self, prior: Prior | None, encoder_told: bool) -> None:
        """Checks that a prior made of q(z|u) of examples u of its own can encode them.

        Raises:
            PartError: if it cannot.
        """
        if prior is not None and prior.infers and encoder_told:
            raise PartError(
                f"{type(self).__name__}: {type(prior).__name__} is made of q(z|u) of examples u of its own, and q is "
                "told a condition that they do not have. Take another prior, or leave 'encoder' out of condition_into."
            )

    def require_each(self, c: Tensor | None, shape: Size) -> None:
        """There is one condition for all examples, or one for each.

        Raises:
            ShapeError: if there are others.
        """
        if c is not None and c.ndim > 1 and c.shape[:-1] != shape[len(shape) - c.ndim + 1 :]:
            raise ShapeError(
                f"{type(self).__name__}: told of {tuple(c.shape[:-1])} examples, asked for {tuple(shape)}. Give one "
                "value for all, or one for each."
            )
