"""Paths between two codes, and the pictures along them."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from reparam.arguments import checked
from reparam.errors import PartError, ShapeError, UnknownNameError, nearest
from reparam.latents.codes import HasLatents, decoded_means, onto_space, posterior_means

Path = Callable[[Tensor, Tensor, Tensor], Tensor]


def linear(a: Float[Tensor, "B L"], b: Float[Tensor, "B L"], t: Float[Tensor, " T"]) -> Float[Tensor, "B T L"]:
    r"""Walks straight from a to b.

    .. math:: z(t) = (1 - t)\, a + t\, b
    """
    return torch.lerp(a[:, None], b[:, None], t[None, :, None])


def spherical(a: Float[Tensor, "B L"], b: Float[Tensor, "B L"], t: Float[Tensor, " T"]) -> Float[Tensor, "B T L"]:
    r"""Walks from a to b along the arc between them, so that the length of z changes evenly and does not dip.

    .. math:: z(t) = \frac{\sin((1 - t)\,\omega)}{\sin \omega}\, a + \frac{\sin(t\,\omega)}{\sin \omega}\, b,
              \qquad \cos \omega = \frac{a \cdot b}{|a|\,|b|}

    Where a and b lie on one line through the origin, or one of them at the origin, the arc is not defined; there the
    path is straight.

    Source:
        Animating rotation with quaternion curves (Shoemake, 1985), section 3.3; for latent spaces: Sampling generative
        networks (White, 2016), arXiv:1609.04468, section 2.1.
    """
    cosine = torch.cosine_similarity(a, b, dim=-1).clamp(-1, 1)
    omega = cosine.acos()[:, None, None]
    along = t[None, :, None]
    nowhere = (a.norm(dim=-1) * b.norm(dim=-1) == 0)[:, None, None]
    straight = (omega.sin() < 1e-4) | nowhere
    sine = torch.where(straight, torch.ones_like(omega), omega.sin())
    arc = ((1 - along) * omega).sin() / sine * a[:, None] + (along * omega).sin() / sine * b[:, None]
    return torch.where(straight, linear(a, b, t), arc)


PATHS: dict[str, Path] = {"linear": linear, "spherical": spherical}


@checked
def interpolate(
    model: HasLatents,
    a: Float[Tensor, "..."],
    b: Float[Tensor, "..."],
    steps: int = 10,
    path: str = "linear",
) -> Float[Tensor, "..."]:
    r"""Turns one item into another by walking between their codes, within the model's latent space.

    .. math:: \hat x(t) = E_{p(x \mid z(t))}[x], \qquad z(0) = \mu(a), \quad z(1) = \mu(b)

    Shapes:
        a, b: (*data_shape)     ->  (steps, *data_shape)
        a, b: (B, *data_shape)  ->  (B, steps, *data_shape)

    Args:
        model: Answers ``infer`` and ``decode``.
        a: Where to start, one item or a batch.
        b: Where to end, of the same shape.
        steps: Number of pictures, the two ends included.
        path: ``linear`` or ``spherical``.

    Raises:
        UnknownNameError: if there is no such path.
        PartError: if steps < 2.
        ShapeError: if a and b differ in shape.
    """
    if path not in PATHS:
        raise UnknownNameError(f"There is no path {path!r}. {nearest(path, PATHS)}")
    if steps < 2:
        raise PartError(f"interpolate: got steps={steps}, expected at least 2 (the two ends).")
    if a.shape != b.shape:
        raise ShapeError(f"interpolate: got shapes {tuple(a.shape)} and {tuple(b.shape)}, expected the same for both.")
    single = a.ndim == len(model.data_shape)
    start, end = (posterior_means(model, item) for item in (a, b))
    if single:
        start, end = start[None], end[None]
    t = torch.linspace(0, 1, steps, dtype=start.dtype, device=start.device)
    pictures = decoded_means(model, onto_space(model, PATHS[path](start, end, t)))
    return pictures[0] if single else pictures
