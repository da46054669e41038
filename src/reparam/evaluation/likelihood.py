"""log p(x) by importance weighting, in memory that does not grow with the number of samples."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from reparam.arguments import checked
from reparam.data import Batch, Split
from reparam.distributions import is_density
from reparam.errors import PartError, RefusedError, ShapeError
from reparam.memory import keep_freed_memory
from reparam.rng import seeded
from reparam.threads import fastest_threads, threads
from reparam.trace import Model, Trace

ROWS = 1000
MEASURED = 200_000


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Evaluation mode without gradients for a block; the mode of each part comes back after it."""
    found = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, training in found:
            part.training = training


@dataclass(frozen=True)
class Likelihoods:
    """Importance-weighted estimates for each example.

    Shapes:
        log_p_x: (B,), nats
        stderr: (B,), Monte Carlo standard error of log_p_x, nats
        ess: (B,), effective sample size, from 1 to S
    Attributes:
        draws: S, draws that were made of each example: 1 where q has no noise, so that all would be the same.
        noiseless: True where q has no noise. Elsewhere the ``stderr`` of one draw is 0, and means nothing.
    """

    log_p_x: Float[Tensor, " B"]
    stderr: Float[Tensor, " B"]
    ess: Float[Tensor, " B"]
    draws: int
    noiseless: bool = False


class _Stream:
    """Running maximum, sum of weights and sum of squared weights, all relative to the maximum."""

    def __init__(self, like: Tensor) -> None:
        self.largest = torch.full_like(like, -torch.inf)
        self.first = torch.zeros_like(like)
        self.second = torch.zeros_like(like)
        self.count = 0

    def add(self, log_w: Tensor) -> None:
        largest = torch.maximum(self.largest, log_w.amax(0))
        fade = torch.exp(self.largest - largest)
        weights = torch.exp(log_w - largest)
        self.first = self.first * fade + weights.sum(0)
        self.second = self.second * fade.square() + weights.square().sum(0)
        self.largest, self.count = largest, self.count + log_w.shape[0]

    def result(self, noiseless: bool) -> Likelihoods:
        s = self.count
        mean = self.first / s
        variance = (self.second / s - mean.square()).clamp_min(0) / max(1, s - 1)
        ess = self.first.square() / self.second
        return Likelihoods(self.largest + mean.log(), variance.sqrt() / mean, ess, s, noiseless)


def require_density(trace: Trace) -> None:
    """Checks that log p(x) is defined.

    Raises:
        RefusedError: if there is no prior, q has no density, or the likelihood is an unnormalised distance.
    """
    if trace.p_z is not None and not is_density(trace.q):
        raise RefusedError(
            "q(z|x) is a point mass, so there are no importance weights and log p(x) cannot be estimated. Ask for mse, "
            "fid or completeness, or take a posterior with noise."
        )
    if trace.p_z is None:
        raise RefusedError("A plain autoencoder has no density p(x). Train 'vae', or ask for mse, psnr or ssim.")
    if not is_density(trace.p_x):
        raise RefusedError("The reconstruction term is a distance, not a density, so log p(x) is not defined.")


def importance_weighted(
    model: Model,
    x: Float[Tensor, "B ..."],
    samples: int = 500,
    *,
    seed: int = 0,
    rows: int = ROWS,
    progress: Callable[[int], None] | None = None,
    **named: Any,
) -> Likelihoods:
    r"""Estimates log p(x) for each example, with its error.

    .. math:: \log p(x) \approx \log \frac1S \sum_{s=1}^S \frac{p(x \mid z_s)\, p(z_s)}{q(z_s \mid x)},
              \qquad z_s \sim q(z \mid x)

    Each example is encoded once; draws are made ``rows`` (examples times draws) at a time and folded into a running
    log-sum-exp, so memory does not grow with S.

    Args:
        model: Any model that fills a Trace.
        x: Examples.
        samples: Draws per example, S.
        seed: Seed of the draws.
        rows: Codes decoded at a time.
        progress: Called with the number of examples done.
        **named: What the model must be told, by name: one value for all examples, or one for each.
    Raises:
        ShapeError: if x is no tensor.
        PartError: if there is no example, samples < 1, or the model takes no such thing.
        RefusedError: if the model has no density.
    Source:
        Importance weighted autoencoders (Burda et al., 2016), arXiv:1509.00519, eq. 8. It is a lower bound in
        expectation and rises to log p(x) with S.
    """
    if not isinstance(x, Tensor):
        raise ShapeError(
            f"x is a {type(x).__name__}, expected a tensor of examples. Take split.batch(slice(None)).x, or judge a "
            "split with evaluate."
        )

    if getattr(model, "told_each", False):
        model, each = model.untold(len(x))  # type: ignore[attr-defined]
        named = each | named
    if hasattr(model, "placed"):
        named = model.placed(named)
    told = {name: _for_each(torch.as_tensor(value), len(x)) for name, value in named.items()}

    def pieces(size: int) -> Iterator[Batch]:
        for start in range(0, len(x), size):
            chosen = slice(start, start + size)
            yield Batch(x[chosen], {name: values[chosen] for name, values in told.items()})

    return _weighted(model, len(x), pieces, samples, seed, rows, progress)


def _for_each(value: Tensor, count: int) -> Tensor:
    """What is told, for each of some examples: as it is, or one value for all of them."""
    if value.ndim and len(value) in (1, count):
        return value.expand(count, *value.shape[1:])
    return value.expand(count, *value.shape)


def split_likelihoods(
    model: Model,
    split: Split,
    samples: int = 500,
    *,
    seed: int = 0,
    rows: int = ROWS,
    progress: Callable[[int], None] | None = None,
) -> Likelihoods:
    """The same numbers as :func:`importance_weighted` for all examples of a split, which are never held at once.

    Args:
        model: Any model that fills a Trace.
        split: What to judge; a dynamic one should be made ``fixed`` first.
        samples: Draws per example, S.
        seed: Seed of the draws.
        rows: Codes decoded at a time.
        progress: Called with the number of examples done.
    Raises:
        PartError: if there is no example, or samples < 1.
        RefusedError: if the model has no density.
    """

    def pieces(size: int) -> Iterator[Batch]:
        for batch in split.batches(size):
            yield Batch(batch.x, batch.pick(model.conditions))

    return _weighted(model, len(split), pieces, samples, seed, rows, progress)


def _weighted(
    model: Model,
    count: int,
    pieces: Callable[[int], Iterator[Batch]],
    samples: int,
    seed: int,
    rows: int,
    progress: Callable[[int], None] | None,
) -> Likelihoods:
    """Estimates of ``count`` examples that come in pieces of a given size."""
    if samples < 1 or count < 1:
        raise PartError(f"log p(x): got {count} examples and samples={samples}, expected at least 1 of each.")
    keep_freed_memory()
    size, parts, done = max(1, min(count, rows // 10)), [], 0
    first = next(pieces(size))
    with (
        evaluating(model),
        threads(_threads(model, first, samples * count, rows)),
        seeded(seed, "importance"),
    ):
        for piece in pieces(size):
            parts.append(_stream(model, piece, samples, rows))
            done += len(piece)
            if progress:
                progress(done)
    log_p_x, stderr, ess = (torch.cat([getattr(p, n) for p in parts]) for n in ("log_p_x", "stderr", "ess"))
    return Likelihoods(log_p_x, stderr, ess, parts[0].draws, all(part.noiseless for part in parts))


def _threads(model: Model, piece: Batch, decodes: int, rows: int) -> int:
    """The faster number of CPU threads, measured where there is so much to decode that measuring pays."""
    if piece.x.device.type != "cpu" or decodes < MEASURED:
        return torch.get_num_threads()
    named: dict[str, Any] = dict(piece.named)
    with seeded("threads"):
        return fastest_threads(lambda: model.trace(piece.x, samples=max(1, rows // len(piece)), **named))


def _stream(model: Model, piece: Batch, samples: int, rows: int) -> Likelihoods:
    x = piece.x
    named: dict[str, Any] = dict(piece.named)
    q = model.infer(x, **named)
    p_z: Distribution | None = None  # asked for once: a prior made of q(z|u) encodes its u
    stream: _Stream | None = None
    noiseless = bool(getattr(q, "noiseless", False))
    left = 1 if noiseless else samples  # without noise all draws are the same one
    while left:
        draws = min(left, max(1, rows // len(x)))
        trace = model.trace(x, samples=draws, q=q, p_z=p_z, **named)
        p_z = trace.p_z
        if stream is None:
            require_density(trace)
            stream = _Stream(trace.log_w[0].double())
        stream.add(trace.log_w.double())
        left -= draws
    assert stream is not None
    return stream.result(noiseless)


@checked
def log_likelihood(
    model: Model, x: Float[Tensor, "B ..."], samples: int = 5000, *, seed: int = 0, rows: int = ROWS, **named: Any
) -> Float[Tensor, " B"]:
    """log p(x) for each example by :func:`importance_weighted`, (B,), nats."""
    return importance_weighted(model, x, samples, seed=seed, rows=rows, **named).log_p_x


def standard_error(name: str, values: Tensor) -> dict[str, float]:
    """Standard error of the mean over examples, ``name_stderr``; nothing where one example tells none."""
    return {f"{name}_stderr": (values.std() / math.sqrt(len(values))).item()} if len(values) > 1 else {}
