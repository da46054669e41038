"""Walks through the latent space along its axes: one dimension at a time, or two at once."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Independent, Normal

from reparam.arguments import checked
from reparam.distributions import EUCLIDEAN, ByClass, Structured
from reparam.errors import PartError, RefusedError, ShapeError
from reparam.latents.codes import HasLatents, decoded_means, home, onto_space, posterior_means
from reparam.rng import seeded

_LOWEST = 0.01


@checked
def traverse(
    model: HasLatents,
    anchor: Float[Tensor, "..."] | None = None,
    dims: Sequence[int] | None = None,
    span: float = 3.0,
    steps: int = 9,
    *,
    codes: Float[Tensor, "N L"] | None = None,
) -> Float[Tensor, "D T ..."]:
    r"""Moves one latent dimension at a time and shows what it changes.

    .. math:: \hat x_{d,t} = E_{p(x \mid z)}[x], \qquad z = z^{\mathrm{anchor}}
              \text{ but } z_d = s\,\Bigl(\frac{2t}{\text{steps} - 1} - 1\Bigr)

    This is for a standard Normal prior; values run over the mean +- span standard deviations of another Normal, such as
    p(z|c) of a model that was told c. With ``codes`` they run over those of these codes in that dimension: the choice
    for a model without a prior, whose codes have no agreed scale. On a sphere, in a ball or among one-hot vectors, each
    z is replaced by the nearest code; in a structured code the class that is moved is chosen once it is above 1.

    Shapes:
        anchor: (*data_shape)  ->  (dims, steps, *data_shape)

    Args:
        model: Answers ``infer`` and ``decode``.
        anchor: The item whose posterior mean stays fixed in the other dimensions. Without it they stay at the
            prior's mean, 0 where that has no closed form (at the mean of ``codes``, where these are given).
        dims: Which dimensions, in this order; all where not given.
        span: How far to go to either side (s), in standard deviations of the prior.
        steps: Number of pictures for each dimension; an odd number has the middle in it.
        codes: Codes of data, (N, L), that set the middle and the scale instead of the prior.

    Raises:
        PartError: if steps < 2 or one of dims is not a latent dimension.
        ShapeError: if the anchor is not one item.
    """
    if steps < 2:
        raise PartError(f"traverse: got steps={steps}, expected at least 2.")
    chosen = list(range(model.latent_dim)) if dims is None else [int(dim) for dim in dims]
    outside = [dim for dim in chosen if not 0 <= dim < model.latent_dim]
    if outside:
        raise PartError(f"traverse: got dimension {outside[0]}, expected 0 to {model.latent_dim - 1}.")
    if not chosen:
        raise PartError("traverse: got no dimensions, expected at least one.")
    middle, scale = _middle(model) if codes is None else _moments(codes.to(home(model)))
    classes = getattr(model, "space", EUCLIDEAN).one_hot_dims
    start = middle if anchor is None else posterior_means(model, anchor)
    if start.ndim > 1 and len(start) != 1:
        raise ShapeError(f"traverse: got a batch of {len(start)} items, expected one. Pass one of them, such as x[0].")
    way = torch.linspace(-span, span, steps, dtype=middle.dtype, device=middle.device)
    z = start.expand(len(chosen), steps, -1).clone()
    for row, dim in enumerate(chosen):
        z[row, :, dim] = (0.0 if dim < classes else middle[dim]) + scale[dim] * way
    return decoded_means(model, onto_space(model, z))


def _moments(codes: Float[Tensor, "N L"]) -> tuple[Float[Tensor, " L"], Float[Tensor, " L"]]:
    return codes.mean(0), codes.std(0, correction=0)


def _middle(model: HasLatents) -> tuple[Float[Tensor, " L"], Float[Tensor, " L"]]:
    """Mean and spread of the prior, given what the model was told; 0 and 1 where it has none in closed form.

    Beside choices, bounded numbers keep to their range.
    """
    zero = home(model)
    p_z = None if model.prior is None else model.p_z()
    if isinstance(p_z, Structured):
        return p_z.plain, p_z.spread
    if isinstance(p_z, Independent) and type(p_z.base_dist) is Normal:
        own = p_z.base_dist
        return own.loc.reshape(-1, len(zero))[0], own.scale.reshape(-1, len(zero))[0]
    try:
        if p_z is not None and not isinstance(p_z, ByClass) and getattr(model, "space", EUCLIDEAN) is EUCLIDEAN:
            return p_z.mean.reshape(-1, len(zero))[0], p_z.stddev.reshape(-1, len(zero))[0]
    except (NotImplementedError, RefusedError):
        pass
    return zero, torch.ones_like(zero)


@torch.no_grad()
def grid(model: HasLatents, side: int = 20, *, codes: Float[Tensor, "N 2"] | None = None) -> Float[Tensor, "S S ..."]:
    r"""Decodes a square grid of a two-dimensional latent space, at even quantiles of each dimension.

    .. math:: z_{ij} = \bigl(F^{-1}(u_j),\, F^{-1}(u_{S-1-i})\bigr), \qquad u_0 = 0.01, \dots, u_{S-1} = 0.99

    F is the prior's distribution function; the first axis of the latent space runs to the right and the second upwards,
    as in a plot. With ``codes`` the quantiles of these codes take the place of the prior's.

    Shapes:
        (side, side, *data_shape), rows from top to bottom

    Args:
        model: Answers ``decode``; its latent_dim is 2.
        side: Pictures along each side (S).
        codes: Codes of data, (N, 2), instead of the prior.

    Raises:
        PartError: if latent_dim is not 2 or side < 2.
        RefusedError: if the model has no prior and no codes are given.

    Source:
        Auto-encoding variational Bayes (Kingma & Welling, 2014), arXiv:1312.6114, figure 4.
    """
    if model.latent_dim != 2:
        raise PartError(f"grid: got a model with latent_dim={model.latent_dim}, expected 2. Use traverse instead.")
    if side < 2:
        raise PartError(f"grid: got side={side}, expected at least 2.")
    levels = torch.linspace(_LOWEST, 1 - _LOWEST, side).to(home(model))
    right, up = _prior_quantiles(model, levels) if codes is None else codes.to(levels).quantile(levels, dim=0).T
    z = torch.stack(torch.meshgrid(right, up.flip(0), indexing="xy"), dim=-1)
    return decoded_means(model, onto_space(model, z))


def _prior_quantiles(model: HasLatents, levels: Tensor) -> Tensor:
    """Quantiles of both dimensions under the prior, (2, S): exact where it has an inverse, else from 4,096 draws."""
    if model.prior is None:
        raise RefusedError(
            "grid: this model has no prior, hence no quantiles. Pass codes of data: grid(model, codes=...)."
        )
    p_z = model.p_z()
    dims = p_z.base_dist if isinstance(p_z, Independent) else p_z
    try:
        return dims.icdf(levels[:, None].expand(-1, 2)).T
    except NotImplementedError:
        with seeded(0, "prior quantiles"):
            return p_z.sample((4096,)).quantile(levels, dim=0).T
