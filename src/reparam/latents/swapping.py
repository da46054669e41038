"""Content of some items with the style of others, for models of groups."""

from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from reparam.errors import RefusedError
from reparam.latents.codes import HasLatents, decoded_means, posterior_means


class HasContent(HasLatents, Protocol):
    """A model whose first latent dimensions are what a group has in common."""

    content_dim: int


def swap(model: HasContent, content: Float[Tensor, "..."], style: Float[Tensor, "..."]) -> Float[Tensor, "S C ..."]:
    r"""Decodes the content of some items with the style of others.

    .. math:: \hat x_{ij} = E[x \mid c = \mu_c(x_j), s = \mu_s(y_i)]

    Shapes:
        content: (C, *data_shape), style: (S, *data_shape), or one item each  ->  (S, C, *data_shape): a row keeps the
            style of one item, a column the content of one
    Args:
        model: A model of groups, such as that of ``ml-vae``.
        content: Items x, or one.
        style: Items y, or one.
    Raises:
        RefusedError: if the model has no content apart from style.
    Source:
        Multi-level variational autoencoder (Bouchacourt et al., 2018), arXiv:1705.08841, figure 3.
    """
    dim = getattr(model, "content_dim", 0)
    if not dim:
        raise RefusedError("swap: this model has no content apart from style. Train one that has, such as 'ml-vae'.")
    codes = [posterior_means(model, items.reshape(-1, *model.data_shape)) for items in (content, style)]
    contents, styles = codes[0][:, :dim], codes[1][:, dim:]
    z = torch.cat([contents.expand(len(styles), -1, -1), styles.unsqueeze(1).expand(-1, len(contents), -1)], -1)
    return decoded_means(model, z)
