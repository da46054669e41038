"""The invertible networks of zuko, by name."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from reparam.errors import MissingExtraError, PartError, nearest
from reparam.networks.bijections import Bijection, Mapped
from reparam.shapes import broadcast

FlowName = Literal["maf", "nsf", "nice", "real-nvp"]
Direction = Literal["draw", "density"]
CLASSES = {"maf": "MAF", "nsf": "NSF", "nice": "NICE", "real-nvp": "RealNVP"}
MOST_PER_DIM = 32
MOST_WEIGHTS = 200_000_000


class ZukoFlow(Bijection):
    """An invertible network of zuko, between noise and z.

    Networks that are invertible on all of R^L are offered: a code may lie anywhere.

    Args:
        owner: Who is told to the user in an error.
        latent_dim: Number of dimensions L.
        context_dim: Number of context values per example; 0 for none.
        flow: ``maf``, ``nsf``, ``nice`` or ``real-nvp``.
        transforms: Number of transforms one after the other.
        hidden_dims: Widths of the hidden layers in each transform.
        direction: The network itself maps noise to z (``draw``: drawing takes one pass) or z to noise (``density``: the
            density of a given z does). Autoregressive networks need L passes for the other way, coupling ones one.
    Raises:
        PartError: if the flow or direction is unknown, transforms < 1, a width is below 1, or it would be too large.
        MissingExtraError: if zuko is not installed.
    Source:
        https://zuko.readthedocs.io; maf: Papamakarios et al., 2017, arXiv:1705.07057; nsf: Durkan et al., 2019,
        arXiv:1906.04032; nice: Dinh et al., 2014, arXiv:1410.8516; real-nvp: Dinh et al., 2017, arXiv:1605.08803.
    """

    def __init__(
        self,
        owner: str,
        latent_dim: int,
        context_dim: int,
        *,
        flow: FlowName,
        transforms: int,
        hidden_dims: Sequence[int],
        direction: Direction,
    ) -> None:
        super().__init__(owner, transforms)
        if flow not in CLASSES:
            raise PartError(f"{owner}: flow is {flow!r}. {nearest(flow, CLASSES)}")
        if direction not in get_args(Direction):
            raise PartError(f"{owner}: direction is {direction!r}. {nearest(direction, get_args(Direction))}")
        if not hidden_dims or min(hidden_dims) < 1:
            raise PartError(f"{owner}: hidden_dims is {list(hidden_dims)}, expected widths of 1 or more.")
        last = MOST_PER_DIM * latent_dim
        widths = (latent_dim + context_dim, *hidden_dims, last)
        if transforms * sum(a * b for a, b in pairwise((*widths, widths[0]))) > MOST_WEIGHTS:
            raise PartError(
                f"{owner}: the flow would have too many weights. Lower latent_dim, hidden_dims, transforms."
            )
        self.flow, self.direction = flow, direction
        with _torch_as_it_was(owner), torch.device("cpu"):  # zuko computes with its masks while it builds them
            from zuko import flows

            built = getattr(flows, CLASSES[flow])(
                latent_dim, context_dim, transforms=transforms, hidden_features=tuple(hidden_dims)
            )
        self.network = built.transform

    def forward(
        self, x: Float[Tensor, "*N L"], context: Float[Tensor, "*B F"] | None = None, inverse: bool = False
    ) -> Mapped:
        if context is not None:  # zuko's inverses want one shape for both
            x = x.expand(*broadcast(x.shape[:-1], context.shape[:-1]), x.shape[-1])
        transform = self.network(context)
        backwards = inverse == (self.direction == "draw")
        y, log_det = (transform.inv if backwards else transform).call_and_ladj(x)
        return y, log_det.expand(y.shape[:-1])

    def __repr__(self) -> str:
        """Names the network; zuko's own repr draws random numbers."""
        return f"ZukoFlow({self.flow}, transforms={self.transforms}, direction={self.direction})"


@contextmanager
def _torch_as_it_was(owner: str) -> Iterator[None]:
    """Imports of zuko within the block leave torch.distributions as they were: it switches their checks off.

    Raises:
        MissingExtraError: if zuko is not installed.
    """
    names = ("_validate_args", "arg_constraints")
    found: dict[str, Any] = {name: Distribution.__dict__[name] for name in names}
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "zuko":
            raise
        raise MissingExtraError(owner, "zuko", "flows") from None
    finally:
        for name, value in found.items():
            setattr(Distribution, name, value)
