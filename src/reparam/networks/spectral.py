"""Layers whose weight, as a matrix, has a norm of at most 1."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call


def _unit(vector: Float[Tensor, " N"], otherwise: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """The vector at length 1; where it has no length, the other one."""
    length = vector.square().sum().sqrt()  # Tensor.norm loads a compiler where only the shapes are asked for
    return torch.where(length > 0, vector / length, otherwise)


def spectral_norm(matrix: Float[Tensor, "M N"], direction: Float[Tensor, " M"], *, keep: bool) -> Float[Tensor, ""]:
    r"""The largest singular value of a matrix, after one step of the power iteration.

    .. math:: v \leftarrow \frac{W^\top u}{|W^\top u|}, \quad u \leftarrow \frac{W v}{|W v|}, \quad
              \sigma(W) \approx u^\top W v

    Its gradient is that of the product for fixed u and v. A matrix of zeros has norm 0 and leaves u.

    Args:
        matrix: W.
        direction: u of the step before.
        keep: Write the new u over the old one.
    Source:
        Spectral normalization for generative adversarial networks (Miyato et al., 2018), arXiv:1802.05957,
        algorithm 1.
    """
    with torch.no_grad():  # sums of products instead of matmul, which mixed precision would round
        v = _unit((direction.unsqueeze(1) * matrix).sum(0), torch.zeros_like(matrix[0]))
        u = _unit((matrix * v).sum(1), direction)
        if keep:
            direction.copy_(u)
    return (u.unsqueeze(1) * matrix * v).sum()


class Spectral(nn.Module):
    r"""Divides a layer's weight by its largest singular value, where that is above 1.

    .. math:: \bar W = W / \max(1, \sigma(W)), \qquad \sigma(W) \approx u^\top W v

    Each pass in training takes one step of the power iteration for u and keeps it in a buffer; in evaluation nothing
    is kept. The rows of W are the layer's outputs; of a convolution it is the kernel, laid out as a matrix, so
    that a kernel of k x k may still stretch a distance k times.

    Args:
        layer: A linear layer or a convolution.
    Source:
        Spectral normalization for generative adversarial networks (Miyato et al., 2018), arXiv:1802.05957, eq. 8 and
        algorithm 1. A weight whose norm is below 1 is left as it is, so that residual layers may begin at zero.
    """

    reads_weights = True
    direction: Tensor

    def __init__(self, layer: nn.Linear | nn.Conv2d) -> None:
        super().__init__()
        self.layer = layer
        start = torch.randn(layer.weight.shape[0])
        self.register_buffer("direction", _unit(start, torch.ones_like(start)))

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        weight = self.layer.weight
        norm = spectral_norm(weight.flatten(1), self.direction, keep=self.training)
        found: Tensor = functional_call(self.layer, {"weight": weight / norm.clamp_min(1.0)}, (x,))
        return found


def spectral_layers(network: nn.Module) -> None:
    """Wraps every linear layer and every convolution of a network in :class:`Spectral`."""
    for name, child in list(network.named_children()):
        if isinstance(child, nn.Linear | nn.Conv2d):
            setattr(network, name, Spectral(child))
        else:
            spectral_layers(child)
