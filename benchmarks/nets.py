"""The networks and the data that all contenders share."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

BATCH, LATENT, EPOCHS = 128, 20, 20
SHARE_FOR_VALIDATION = 30  # as 2,000 of 60,000


class Net(NamedTuple):
    """What lies on both sides of the code: x -> features, and z -> logits of x."""

    encoder: nn.Module
    features: int
    decoder: nn.Module


def binary_images(count: int, shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """Random binary images, one pixel in five set, as uint8."""
    draws = torch.Generator().manual_seed(seed)
    return torch.randint(0, 5, (count, *shape), generator=draws, dtype=torch.uint8).eq_(0)


def make_net(kind: str, shape: tuple[int, ...], hidden: int = 400) -> Net:
    """``mlp``, ``conv`` or ``pythae-conv``."""
    if kind == "mlp":
        return mlp(shape, hidden)
    return conv(shape) if kind == "conv" else pythae_conv()


def mlp(shape: tuple[int, ...], hidden: int) -> Net:
    """One hidden layer on each side: 784-400-20-400-784 (Kingma & Welling)."""
    size = torch.Size(shape).numel()
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(size, hidden), nn.ReLU())
    decoder = nn.Sequential(
        nn.Linear(LATENT, hidden), nn.ReLU(), nn.Linear(hidden, size), nn.Unflatten(1, torch.Size(shape))
    )
    return Net(encoder, hidden, decoder)


def conv(shape: tuple[int, ...], hidden: int = 256) -> Net:
    """Two convolutions with stride 2 down (32 and 64 channels), and the same up."""
    channels, height, width = shape
    coarse = (64, height // 4, width // 4)
    size = torch.Size(coarse).numel()
    encoder = nn.Sequential(
        *(nn.Conv2d(channels, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(size, hidden), nn.ReLU()),
    )
    decoder = nn.Sequential(
        *(nn.Linear(LATENT, hidden), nn.ReLU(), nn.Linear(hidden, size), nn.ReLU(), nn.Unflatten(1, coarse)),
        *(nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(32, channels, 4, 2, 1)),
    )
    return Net(encoder, hidden, decoder)


def pythae_conv() -> Net:
    """The convolutional networks for MNIST that pythae ships, without the layers that our posterior has of its own."""
    from pythae.models import VAEConfig
    from pythae.models.nn.benchmarks.mnist import Decoder_Conv_AE_MNIST, Encoder_Conv_VAE_MNIST

    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=LATENT)
    down, up = Encoder_Conv_VAE_MNIST(config).layers, Decoder_Conv_AE_MNIST(config).layers
    *rest, last = up
    assert isinstance(last[-1], nn.Sigmoid)
    decoder = nn.Sequential(rest[0], nn.Unflatten(1, (1024, 4, 4)), *rest[1:], last[:-1])
    return Net(nn.Sequential(*down, nn.Flatten()), 1024, decoder)
