"""A model small enough to know its answers, and data of every kind, for the tests of the report."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal, kl_divergence

from reparam.data.records import Data, Split
from reparam.data.spec import DataSpec
from reparam.errors import RefusedError
from reparam.priors import NormalPrior
from reparam.shapes import Shape
from reparam.trace import Trace

REFUSAL = "A plain autoencoder has no prior p(z), so it cannot make new examples."


class TinyModel(nn.Module):
    """Linear there and back; dimension d has a posterior of scale 1 / (1 + d), so KL grows with d."""

    conditions: tuple[str, ...] = ()
    observes: tuple[str, ...] = ()
    tellable: tuple[str, ...] = ()
    content_dim = 0
    amortized = True

    def __init__(
        self,
        data_shape: Shape,
        latent_dim: int = 3,
        *,
        prior: bool = True,
        denoising: bool = False,
        joint: bool = False,
    ) -> None:
        super().__init__()
        self.data_shape, self.latent_dim, self.denoising, self.joint = data_shape, latent_dim, denoising, joint
        self.prior = NormalPrior(latent_dim) if prior else None
        draws = torch.Generator().manual_seed(5)
        size = math.prod(data_shape)
        self.weight = nn.Parameter(torch.randn(latent_dim, size, generator=draws) / math.sqrt(size))
        self.scale = 1 / (1 + torch.arange(latent_dim))

    def given(self) -> "TinyModel":
        return self

    def p_z(self) -> Distribution:
        assert self.prior is not None
        return self.prior(infer=self.infer)

    def infer(self, x: Tensor) -> Distribution:
        return Independent(Normal((x - 0.5).flatten(1) @ self.weight.T, self.scale, validate_args=False), 1)

    def decode(self, z: Tensor) -> Distribution:
        x = (z @ self.weight + 0.5).reshape(*z.shape[:-1], *self.data_shape)
        return Independent(Normal(x, 0.1, validate_args=False), len(self.data_shape))

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.infer(x).mean).mean.detach()

    def corrupt(self, x: Tensor) -> Tensor:
        return x * torch.rand_like(x).ge(0.5) if self.denoising else x

    def sample(self, n: int, temperature: float = 1.0, draw: bool = False) -> Tensor:
        if self.prior is None:
            raise RefusedError(REFUSAL)
        p_x = self.decode(torch.randn(n, self.latent_dim))
        return (p_x.sample() if draw else p_x.mean).detach()

    def trace(self, x: Tensor, samples: int = 1) -> Trace:
        assert self.prior is not None
        q: Any = self.infer(x)
        z, p_z = q.rsample((samples,)), self.prior()
        p_x = self.decode(z)
        kl = kl_divergence(q.base_dist, p_z.base_dist)[None]
        kl = kl.sum(-1, keepdim=True) if self.joint else kl
        zero = torch.zeros(len(x))
        return Trace(
            z, q, p_z, p_x, kl=kl, log_q=q.log_prob(z), log_p_z=p_z.log_prob(z), log_p_x=p_x.log_prob(x), penalty=zero
        )


def tiny_data(
    shape: Shape, count: int = 40, *, classes: tuple[str, ...] = (), kind: str = "unit", columns: tuple[str, ...] = ()
) -> Data:
    """The same few random items as train, validation and test."""
    x = torch.rand(count, *shape, generator=torch.Generator().manual_seed(count))
    standard = {"shift": (0.5,) * shape[0], "scale": (0.25,) * shape[0]} if kind == "real" else {}
    spec = DataSpec("tiny", shape, kind, classes=classes, columns=columns, **standard)  # type: ignore[arg-type]
    split = Split(x, spec, {"labels": torch.arange(count) % len(classes)} if classes else {})
    return Data(split, split, split)


def metrics_of(steps: int = 30) -> list[dict[str, Any]]:
    """Rows as training writes them, the first ones wild."""
    rows: list[dict[str, Any]] = []
    for step in range(1, steps + 1):
        elbo = -20 - 1e4 * (step == 1) - 100 / step
        row = {
            "step": step,
            "epoch": step / 10,
            "elbo": elbo,
            "distortion": 10 - elbo,
            "rate": 10.0,
            "wall_s": 2.0 * step,
        }
        rows.append(row | {"split": "train", "learning_rate": 1e-3 / step, "loss": -elbo})
        if step % 5 == 0:
            rows.append(row | {"split": "validation"})
    return rows


def evaluation_of(latent_dim: int = 3) -> dict[str, Any]:
    """Keys as evaluation.json has them."""
    numbers = {
        "nll": 91.234,
        "nll_stderr": 0.42,
        "nll_samples": 500,
        "nll_ess": 33.3,
        "elbo": -93.5,
        "distortion": 70.0,
    }
    more = {"rate": 23.5, "active_units": latent_dim, "mse": 0.0123, "psnr": 19.1, "ssim": 0.91}
    return {"split": "test", "n": 40, **numbers, **more, "kl_per_dim": [float(d % 7) for d in range(latent_dim)]}
