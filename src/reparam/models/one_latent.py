"""What models of one latent z have in common: the way from z, and from what they are told, to x."""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam.distributions import rows_of
from reparam.errors import PartError, ShapeError
from reparam.models.told import Told


class OneLatent(Told):
    """Decodes codes from a prior, both told a condition where they take one."""

    decoder: nn.Module

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

    def p_z(self, **named: Any) -> Distribution:
        c = self.told_to(self.prior, named)
        p_z = super().p_z() if self.prior is None or c is None else self.prior(infer=self.infer, c=c)
        self.require_event(self.prior, p_z)
        return p_z

    def require_event(self, part: object, found: Distribution) -> None:
        """Checks that a distribution is one of codes as a whole.

        Raises:
            ShapeError: if it is one of single numbers, or of codes of another length.
        """
        if found.event_shape != (self.latent_dim,):
            raise ShapeError(
                f"{type(self).__name__}: {type(part).__name__} gives a {type(found).__name__} with event_shape "
                f"{tuple(found.event_shape)}, expected ({self.latent_dim},), all numbers of z as one event: "
                "Independent(Normal(loc, scale), 1)."
            )

    def decode(self, z: Float[Tensor, "*N L"], **named: Any) -> Distribution:
        self.require_taken(named)
        self.require_codes(z)
        return self.decoded(z, self.told_to(self.decoder, named))

    def decoded(self, z: Float[Tensor, "*N L"], c: Tensor | None) -> Distribution:
        """p(x|z) where the decoder is told c: of each code, or of all."""
        rows = z.reshape(-1, z.shape[-1])
        self.require_each(c, z.shape[:-1])
        h = self.decoder(rows) if c is None else self.decoder(rows, rows_of(c, z.shape[:-1]))
        return self.likelihood(h.reshape(*z.shape[:-1], *h.shape[1:]))
