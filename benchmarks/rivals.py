"""The rivals that a careful person writes by hand: plain loops with fused Adam, and the bare networks."""

import torch
from nets import BATCH, LATENT, binary_images, make_net
from torch import Tensor, nn
from torch.nn import functional as F
from worker import Watch


def training(watch: Watch, *, net: str, shape: list[int], steps: int, hidden: int = 400, how: str = "eager") -> None:
    """A loop with float data in memory, logits and fused Adam; no validation, no log.

    Args:
        watch: Times it.
        net: Name of the network.
        shape: Of one image.
        steps: Steps of a lap.
        hidden: Width of the MLP.
        how: ``eager``, ``channels_last`` or ``compile``.
    """
    x = binary_images(steps * BATCH, tuple(shape)).to(watch.device).float()
    parts = make_net(net, tuple(shape), hidden)
    model = nn.ModuleDict(
        {"encoder": parts.encoder, "head": nn.Linear(parts.features, 2 * LATENT), "decoder": parts.decoder}
    ).to(watch.device)
    if how == "channels_last":
        model, x = model.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

    def loss(batch: Tensor) -> Tensor:
        loc, log_scale = model["head"](model["encoder"](batch)).chunk(2, -1)
        z = loc + log_scale.exp() * torch.randn_like(loc)
        distortion = F.binary_cross_entropy_with_logits(model["decoder"](z), batch, reduction="sum")
        rate = 0.5 * (loc**2 + (2 * log_scale).exp() - 1 - 2 * log_scale).sum()
        return (distortion + rate) / len(batch)

    judged = torch.compile(loss) if how == "compile" else loss
    while True:
        for _ in range(steps):
            index = torch.randint(len(x), (BATCH,), device=watch.device)
            optimizer.zero_grad(set_to_none=True)
            judged(x[index]).backward()
            optimizer.step()
        watch.lap(steps)


def empty_training(watch: Watch, *, steps: int) -> None:
    """The loop around a model of one parameter: what the framework itself costs."""
    x = binary_images(steps * BATCH, (1,)).to(watch.device)
    weight = nn.Parameter(torch.zeros((), device=watch.device))
    optimizer = torch.optim.Adam([weight], lr=1e-3, fused=True)
    while True:
        for _ in range(steps):
            batch = x[torch.randint(len(x), (BATCH,), device=watch.device)].float()
            optimizer.zero_grad(set_to_none=True)
            weight.expand(len(batch)).mean().backward()
            optimizer.step()
        watch.lap(steps)


@torch.no_grad()
def decoding(watch: Watch, *, net: str, shape: list[int], calls: int) -> None:
    """The network, and the mean of its Bernoulli."""
    decoder = make_net(net, tuple(shape)).decoder.to(watch.device).eval()
    z = torch.randn(1, LATENT, device=watch.device)
    while True:
        for _ in range(calls):
            decoder(z).sigmoid()
            watch.wait()
        watch.lap(calls)
