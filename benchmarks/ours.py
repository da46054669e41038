"""The package itself, through its public functions and with its own settings."""

from typing import Any

import torch
from nets import BATCH, EPOCHS, LATENT, SHARE_FOR_VALIDATION, binary_images, make_net
from torch import Tensor, nn
from torch.distributions import Normal
from worker import Watch

import reparam
from reparam.data import Data, DataSpec, Split
from reparam.likelihoods import BernoulliLikelihood
from reparam.networks import Decoder, Encoder
from reparam.posteriors import NormalPosterior
from reparam.priors import NormalPrior
from reparam.trace import Trace

NOISE = Normal(0.0, 1.0)


def binary_data(count: int, shape: tuple[int, ...]) -> Data:
    """Random binary images, and a thirtieth as many to validate on."""
    spec = DataSpec("random", shape, "binary")
    train = Split(binary_images(count, shape), spec)
    rest = Split(binary_images(max(1, count // SHARE_FOR_VALIDATION), shape, seed=1), spec)
    return Data(train, rest, rest)


class OwnEncoder(Encoder):
    """Features by a network that the package does not have."""

    def __init__(self, data_shape: tuple[int, ...], net: nn.Module, out_dim: int) -> None:
        super().__init__(data_shape, out_dim)
        self.net = net

    def features(self, x: Tensor) -> Tensor:
        return self.net(x)


class OwnDecoder(Decoder):
    """Logits by a network that the package does not have."""

    def __init__(self, out_shape: tuple[int, ...], net: nn.Module) -> None:
        super().__init__(LATENT, out_shape)
        self.net = net

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z)


def make_model(net: str, shape: tuple[int, ...], hidden: int = 400) -> reparam.VAE:
    """The package's MLP, or a VAE put together around other networks."""
    if net == "mlp":
        settings = {"latent_dim": LATENT, "network": {"kind": "mlp", "hidden_dims": [hidden]}}
        return reparam.build("vae", binary_data(1, shape), **settings)
    parts = make_net(net, shape)
    return reparam.VAE(
        OwnEncoder(shape, parts.encoder, parts.features),
        NormalPosterior(parts.features, LATENT),
        NormalPrior(LATENT),
        OwnDecoder(shape, parts.decoder),
        BernoulliLikelihood(shape),
    )


def laps(watch: Watch) -> Any:
    """A ``progress`` that ends a lap at each validation."""
    done = 0

    def progress(row: dict[str, Any], total: int) -> None:
        nonlocal done
        if row["split"] == "validation":
            steps, done = row["step"] - done, row["step"]
            watch.lap(steps)

    return progress


def training(
    watch: Watch,
    *,
    net: str,
    shape: list[int],
    steps: int,
    hidden: int = 400,
    out: str | None = None,
    settings: dict[str, Any] | None = None,
) -> None:
    """``fit``: validation, log, averaged weights and clipping as they come; a lap is an epoch and its validation."""
    data = binary_data(steps * BATCH, tuple(shape))
    model = make_model(net, tuple(shape), hidden)
    device = watch.device.type
    reparam.fit(model, data, epochs=EPOCHS, out=out, device=device, progress=laps(watch), **(settings or {}))


def likelihood(watch: Watch, *, items: int, samples: int) -> None:
    """``log_likelihood``."""
    model = make_model("mlp", (1, 28, 28)).to(watch.device).eval()
    x = binary_images(items, (1, 28, 28)).float().to(watch.device)
    while True:
        reparam.log_likelihood(model, x, samples=samples)
        watch.lap(items)


class Empty(nn.Module):
    """One parameter, and a trace that costs next to nothing."""

    conditions, observes, binary, starts = (), (), False, False

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def trace(self, x: Tensor, samples: int = 1, **named: Any) -> Trace:
        value = self.weight.expand(samples, len(x))
        nothing = value.detach()
        return Trace(
            *(nothing[..., None], NOISE, NOISE, NOISE),
            kl=nothing[..., None],
            log_q=nothing,
            log_p_z=nothing,
            log_p_x=value,
        )


def empty_training(watch: Watch, *, steps: int) -> None:
    """``fit`` for a model of one parameter: what the loop itself costs."""
    reparam.fit(
        Empty(), binary_data(steps * BATCH, (1,)), epochs=EPOCHS, device=watch.device.type, progress=laps(watch)
    )


@torch.no_grad()
def decoding(watch: Watch, *, net: str, shape: list[int], calls: int) -> None:
    """``decode`` for one code, and the mean of what it gives."""
    model = make_model(net, tuple(shape)).to(watch.device).eval()
    z = torch.randn(1, LATENT, device=watch.device)
    while True:
        for _ in range(calls):
            _ = model.decode(z).mean
            watch.wait()
        watch.lap(calls)
