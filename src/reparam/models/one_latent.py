"""What models of one latent z have in common: the way from z, and from what they are told, to x."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Size, Tensor, nn
from torch.distributions import Distribution

from reparam.errors import PartError, RefusedError, ShapeError
from reparam.models.base import Autoencoder
from reparam.networks import Condition


class OneLatent(Autoencoder):
    """Decodes codes from a prior, both told a condition where they take one."""

    decoder: nn.Module
    condition: Condition | None

    def require_sizes(self, sizes: Mapping[str, int]) -> None:
        """Checks that the parts agree on the latent dimensions, and the decoder with the likelihood.

        Args:
            sizes: Latent dimensions of further parts, by name.
        Raises:
            PartError: if they do not.
        """
        owner = type(self).__name__
        least = next(iter(sizes.values()), self.latent_dim)
        sizes = {**sizes, "decoder": getattr(self.decoder, "latent_dim", least)}
        if self.prior is not None:
            sizes["prior"] = self.prior.latent_dim
        if len(set(sizes.values())) > 1:
            given = ", ".join(f"{part} {size}" for part, size in sizes.items())
            raise PartError(f"{owner}: the parts disagree on latent_dim ({given}). Give all of them the same.")
        out_shape = tuple(getattr(self.decoder, "out_shape", self.likelihood.out_shape))
        if out_shape != self.likelihood.out_shape:
            raise PartError(
                f"{owner}: the decoder gives {out_shape} for one example, {type(self.likelihood).__name__} takes "
                f"{self.likelihood.out_shape}. Pass out_shape={self.likelihood.out_shape} to the decoder."
            )

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
                f"{owner}: there is a condition, but no part takes it. Take a conditional encoder or decoder."
            )

    @torch.no_grad()
    def start(self, x: Float[Tensor, "N ..."], **named: Any) -> None:
        super().start(x)
        if self.condition is not None and self.condition.starts:
            self.condition.start(named[self.condition.name])

    def told_to(self, part: nn.Module | None, named: Mapping[str, Any]) -> Tensor | None:
        """The condition for a part that takes it: of some examples, (*B, C), or of all, (C,).

        Raises:
            RefusedError: if nothing was told.
        """
        if self.condition is None or not hasattr(part, "condition_dim"):
            return None
        name = self.condition.name
        value = named.get(name, self._told.get(name))
        if value is None:
            raise RefusedError(
                f"This model must be told {name!r} of each example. Pass {name}=..., or take model.given({name}=...)."
            )
        c: Tensor = self.condition(torch.as_tensor(value).to(next(self.decoder.parameters()).device))
        return c

    def require_each(self, c: Tensor | None, shape: Size) -> None:
        """There is one condition for all examples, or one for each.

        Raises:
            ShapeError: if there are others.
        """
        if c is not None and c.ndim > 1 and c.shape[:-1] not in (Size([1]), shape[len(shape) - c.ndim + 1 :]):
            raise ShapeError(
                f"{type(self).__name__}: told of {tuple(c.shape[:-1])} examples, asked for {tuple(shape)}. Give one "
                "value for all, or one for each."
            )

    def p_z(self, **named: Any) -> Distribution:
        c = self.told_to(self.prior, named)
        if self.prior is None or c is None:
            return super().p_z()
        return self.prior(infer=self.infer, c=c)

    def decode(self, z: Float[Tensor, "*N L"], **named: Any) -> Distribution:
        self.require_taken(named)
        return self.decoded(z, self.told_to(self.decoder, named))

    def decoded(self, z: Float[Tensor, "*N L"], c: Tensor | None) -> Distribution:
        """p(x|z) where the decoder is told c: of each code, or of all."""
        rows = z.reshape(-1, z.shape[-1])
        self.require_each(c, z.shape[:-1])
        h = self.decoder(rows) if c is None else self.decoder(rows, c.expand(*z.shape[:-1], -1).reshape(len(rows), -1))
        return self.likelihood(h.reshape(*z.shape[:-1], *h.shape[1:]))
