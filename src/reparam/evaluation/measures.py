"""What every model is judged by: its bound, its reconstructions, and its likelihood."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from reparam.distributions import is_density, is_discrete, ssim
from reparam.evaluation.code_use import CodeUse
from reparam.evaluation.judged import Judged
from reparam.evaluation.likelihood import split_likelihoods, standard_error
from reparam.rng import seeded
from reparam.shapes import is_image, numel
from reparam.trace import Trace

ACTIVE = 0.01
UNUSED = 0.1  # nats
COLLAPSED = (
    "The model makes no use of its codes: q(z|x) is the prior whatever x is (posterior collapse). "
    "Train it longer, with a longer warm-up of the KL, free bits or a smaller beta."
)
DRAWS, MOST_DRAWS = 2_000, 50


def active_units(codes: Tensor) -> int:
    """How many dimensions of posterior means, (N, L), vary over the data: variance above 0.01.

    Source:
        Importance weighted autoencoders (Burda et al., 2016), arXiv:1509.00519, section 5.2.
    """
    return int((codes.var(0, correction=0) > ACTIVE).sum()) if len(codes) > 1 else 0


def repeats(count: int) -> int:
    """Draws of z for each of so many examples."""
    return max(1, min(MOST_DRAWS, math.ceil(DRAWS / count)))


class Means:
    """Means of the ELBO, its rate and the KL by group and by dimension, over traces of one draw each."""

    def __init__(self, trace: Trace) -> None:
        self.count = 1
        self.elbo, self.rate, self.groups, self.dims = self._terms(trace)

    def _terms(self, trace: Trace) -> tuple[Tensor, ...]:
        return trace.elbo, trace.rate, trace.kl[0], trace.kl[0] if trace.kl_dims is None else trace.kl_dims[0]

    def add(self, trace: Trace) -> None:
        """One more draw."""
        self.count += 1
        held = (self.elbo, self.rate, self.groups, self.dims)
        found = [old.lerp(new, 1 / self.count) for old, new in zip(held, self._terms(trace), strict=True)]
        self.elbo, self.rate, self.groups, self.dims = found


def elbo(judged: Judged) -> dict[str, Any]:
    """ELBO and its two terms; KL and activity per latent dimension; KL per group.

    One draw of z per example, or as many as give :data:`DRAWS` in all where there are fewer examples, so that few of
    them do not leave the noise of the draws. Where z is made of codes, how many of them are used.
    """
    model = judged.model
    bounds, rate, groups, dims, means = [], [], [], [], []
    density, discrete, use = True, False, CodeUse()
    with seeded(judged.seed, "elbo"):
        for batch in judged.batches():
            trace = model.trace(batch.x, samples=1, **batch.named)
            discrete = is_discrete(trace.p_x)
            density = trace.p_z is not None and is_density(trace.p_x) and is_density(trace.q)
            terms = Means(trace)
            again = {"q": trace.q} if trace.q.has_rsample and not model.denoising else {}
            for _ in range(repeats(len(judged.split)) - 1 if density and model.amortized else 0):
                terms.add(model.trace(batch.x, samples=1, **again, **batch.named))
            bounds.append(terms.elbo)
            rate.append(terms.rate)
            groups.append(terms.groups)
            dims.append(terms.dims)
            means.append(trace.q.mean)
            use.add(trace.q)
    all_bounds, all_rate = torch.cat(bounds), torch.cat(rate)
    result: dict[str, Any] = {"distortion": (all_rate + all_bounds).mean().neg().item()} | use.result()
    if density:
        codes = torch.cat(means)
        result |= {"elbo": all_bounds.mean().item(), "rate": all_rate.mean().item()}
        result |= standard_error("elbo", all_bounds) | {"kl_per_dim": torch.cat(dims).mean(0).tolist()}
        if groups[0].shape != dims[0].shape:
            result["kl_per_group"] = torch.cat(groups).mean(0).tolist()
        result |= {"latent_dim": codes.shape[-1], "discrete": discrete}
        if use.counts is None:  # of codes from a table, the scale means nothing
            result["active_units"] = active_units(codes)
            if len(codes) > 1 and not result["active_units"] and result["rate"] < UNUSED:
                result["active_units_note"] = COLLAPSED
    return result


def reconstruction(judged: Judged) -> dict[str, Any]:
    """Mean squared error, peak signal-to-noise ratio (peak 1) and SSIM of the mean reconstruction."""
    model, spec = judged.model, judged.split.spec
    clean: dict[str, list[Tensor]] = {"mse": [], "ssim": []}
    damaged: list[Tensor] = []
    pictures = is_image(spec.shape) and spec.in_unit_interval
    with seeded(judged.seed, "corruption"):
        for batch in judged.batches():
            x = batch.x
            given = model.corrupt(x)
            x_hat = model.decode(model.infer(given, **batch.named).mean, **batch.named).mean
            lengths = batch.named.get("lengths")
            clean["mse"].append(squared_error(x, x_hat, lengths))
            if pictures:
                clean["ssim"].append(ssim(x, x_hat))
            if model.denoising:
                damaged.append(squared_error(x, given, lengths))
    mse = torch.cat(clean["mse"]).mean().item()
    result = {"mse": mse}
    if pictures:
        result |= {"psnr": -10 * math.log10(max(mse, 1e-12)), "ssim": torch.cat(clean["ssim"]).mean().item()}
    if damaged:
        result["mse_corrupted"] = torch.cat(damaged).mean().item()
    return result


def squared_error(
    x: Float[Tensor, "B ..."], x_hat: Float[Tensor, "B ..."], lengths: Tensor | None = None
) -> Float[Tensor, " B"]:
    """Mean squared error of each example, over the values that are there: not NaN, nor behind the end of a sequence."""
    there = ~x.isnan()
    if lengths is not None:
        there &= torch.arange(x.shape[-1], device=x.device) < lengths.reshape(-1, 1, 1)
    return torch.where(there, x - x_hat, 0.0).square().flatten(1).sum(1) / there.flatten(1).sum(1)


def nll(judged: Judged) -> dict[str, Any]:
    """-log p(x) by importance weighting, with its errors; bits per dimension where x is discrete, nats per step.

    ``nll_stderr`` is left out for one example, and ``nll_mc_stderr`` for one draw, unless q has no noise.

    Raises:
        RefusedError: if the model has no density.
    """
    split, progress = judged.split, judged.progress
    found = split_likelihoods(
        judged.model,
        split,
        judged.samples,
        seed=judged.seed,
        progress=(lambda done: progress("nll", done, len(split))) if progress else None,
    )
    values = -found.log_p_x
    result: dict[str, Any] = {"nll": values.mean().item(), "noiseless": found.noiseless}
    result |= standard_error("nll", values)
    if found.draws > 1 or found.noiseless:
        result["nll_mc_stderr"] = (found.stderr.square().sum().sqrt() / len(values)).item()
    result |= {"nll_samples": found.draws, "nll_n": len(values), "nll_ess": found.ess.mean().item()}
    size: float = numel(split.spec.shape)
    if "lengths" in split.named:
        result["nll_per_step"] = result["nll"] / judged.steps  # over all steps of all sequences
        size *= judged.steps / split.spec.shape[-1]
    if split.spec.kind in ("binary", "levels", "counts") and is_discrete(judged.example_p_x):
        result["bits_per_dim"] = result["nll"] / (math.log(2) * size)
    return result
