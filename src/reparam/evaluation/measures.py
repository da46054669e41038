"""The numbers of ``evaluation.json``: each measure is one small function over a split."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from reparam.data import Split
from reparam.distributions import is_density, is_discrete, ssim
from reparam.errors import DataError, RefusedError, UnknownNameError, nearest
from reparam.evaluation.likelihood import evaluating, importance_weighted, standard_error
from reparam.rng import seeded
from reparam.shapes import is_image, numel

Progressed = Callable[[str, int, int], None]
ACTIVE = 0.01
BATCH = 250


def _elbo(model: Any, split: Split, seed: int) -> dict[str, Any]:
    """ELBO and its two terms with one draw of z per example; KL and activity per latent dimension, KL per group.

    A dimension is active when the variance of its posterior mean over the data is above 0.01 (Burda et al., 2016,
    section 5.2).
    """
    elbo, rate, groups, dims, means = [], [], [], [], []
    density, discrete = True, False
    with seeded(seed, "elbo"):
        for batch in split.batches(BATCH):
            trace = model.trace(batch.x, samples=1, **batch.pick(model.conditions))
            discrete = is_discrete(trace.p_x)
            density = trace.p_z is not None and is_density(trace.p_x) and is_density(trace.q)
            elbo.append(trace.elbo)
            rate.append(trace.rate)
            groups.append(trace.kl[0])
            dims.append(trace.kl[0] if trace.kl_dims is None else trace.kl_dims[0])
            means.append(trace.q.mean)
    all_elbo, all_rate = torch.cat(elbo), torch.cat(rate)
    result: dict[str, Any] = {"distortion": (all_rate + all_elbo).mean().neg().item()}
    if density:
        codes = torch.cat(means)
        result |= {"elbo": all_elbo.mean().item(), "rate": all_rate.mean().item()}
        result |= {"elbo_stderr": standard_error(all_elbo), "kl_per_dim": torch.cat(dims).mean(0).tolist()}
        if groups[0].shape != dims[0].shape:
            result["kl_per_group"] = torch.cat(groups).mean(0).tolist()
        result["active_units"] = int((codes.var(0, correction=0) > ACTIVE).sum()) if len(codes) > 1 else 0
        result |= {"latent_dim": codes.shape[-1], "discrete": discrete}
    return result


def _reconstruction(model: Any, split: Split, seed: int) -> dict[str, Any]:
    """Mean squared error, peak signal-to-noise ratio (peak 1) and SSIM of the mean reconstruction."""
    clean: dict[str, list[Tensor]] = {"mse": [], "ssim": []}
    damaged: list[Tensor] = []
    pictures = is_image(split.spec.shape) and split.spec.kind != "real"
    with seeded(seed, "corruption"):
        for batch in split.batches(BATCH):
            x = batch.x
            given = model.corrupt(x)
            x_hat = model.decode(model.infer(given, **batch.pick(model.conditions)).mean).mean
            clean["mse"].append(_mse(x, x_hat))
            if pictures:
                clean["ssim"].append(ssim(x, x_hat))
            if model.denoising:
                damaged.append(_mse(x, given))
    mse = torch.cat(clean["mse"]).mean().item()
    result = {"mse": mse}
    if pictures:
        result |= {"psnr": -10 * math.log10(max(mse, 1e-12)), "ssim": torch.cat(clean["ssim"]).mean().item()}
    if damaged:
        result["mse_corrupted"] = torch.cat(damaged).mean().item()
    return result


def _mse(x: Tensor, x_hat: Tensor) -> Tensor:
    return (x - x_hat).square().flatten(1).mean(1)


METRICS = {
    "nll": "-log p(x), importance-weighted, nats per example (with nll_stderr, nll_samples, nll_ess; bits_per_dim)",
    "elbo": "evidence lower bound, distortion, rate, KL per dimension, active units, nats per example",
    "reconstruction": "mse, psnr, ssim of mean reconstructions; of corrupted inputs too where the model de-noises",
}


def evaluate(
    model: Any,
    split: Split,
    metrics: Iterable[str] = ("elbo", "reconstruction", "nll"),
    *,
    samples: int = 500,
    limit: int | None = None,
    seed: int = 0,
    progress: Progressed | None = None,
) -> dict[str, Any]:
    """Judges a model on a split.

    Args:
        model: Any model that fills a Trace.
        split: What to judge on; dynamic binarisation is drawn once, from ``seed``.
        metrics: Names from :data:`METRICS`.
        samples: Importance samples per example for ``nll``.
        limit: Judge on a seeded random subset of this many examples, never the first ones.
        seed: Seed of the subset and of every draw.
        progress: Called with a metric's name, examples done, and examples in all.
    Raises:
        UnknownNameError: if a metric is unknown.
        RefusedError: if ``nll`` is the only metric asked for and the model has no density.
    """
    wanted = tuple(metrics)
    if limit is not None and limit < 1:
        raise DataError(f"evaluate: limit is {limit}, expected at least 1 example.")
    for name in wanted:
        if name not in METRICS:
            raise UnknownNameError(f"There is no metric {name!r}. {nearest(name, METRICS)}")
    chosen = split.fixed(seed, "evaluation").subset(limit, seed)
    result: dict[str, Any] = {"n": len(chosen), "seed": seed}
    if split.spec.binarize != "none":
        result["binarize"] = split.spec.binarize
    with evaluating(model):
        if "elbo" in wanted:
            result |= _elbo(model, chosen, seed)
        if "reconstruction" in wanted:
            result |= _reconstruction(model, chosen, seed)
        if "nll" in wanted:
            try:
                result |= _nll(model, chosen, samples, seed, progress)
            except RefusedError as refusal:
                if len(wanted) == 1:
                    raise
                result["nll_refused"] = str(refusal)
    return result


def _nll(model: Any, split: Split, samples: int, seed: int, progress: Progressed | None) -> dict[str, Any]:
    batch = split.batch(slice(None))
    named: dict[str, Any] = batch.pick(model.conditions)
    found = importance_weighted(
        model,
        batch.x,
        samples,
        seed=seed,
        progress=(lambda done: progress("nll", done, len(split))) if progress else None,
        **named,
    )
    nll = -found.log_p_x
    result: dict[str, Any] = {"nll": nll.mean().item(), "nll_stderr": standard_error(nll)}
    result["nll_mc_stderr"] = (found.stderr.square().sum().sqrt() / len(nll)).item()
    result |= {"nll_samples": samples, "nll_n": len(nll), "nll_ess": found.ess.mean().item()}
    if split.spec.kind in ("binary", "levels") and is_discrete(model.decode(model.infer(batch.x[:1]).mean)):
        result["bits_per_dim"] = result["nll"] / (math.log(2) * numel(split.spec.shape))
    return result
