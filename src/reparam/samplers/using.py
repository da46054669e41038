"""Samplers of a run: fitted on first use, kept beside its model, and decoded."""

import hashlib
import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

from reparam.arguments import checked
from reparam.data import Split
from reparam.distributions import is_density
from reparam.errors import ConfigError, RefusedError, RunError
from reparam.evaluation import evaluating
from reparam.latents import onto_space
from reparam.reading import read_json
from reparam.rng import seeded
from reparam.runs import Run
from reparam.samplers.base import Sampler
from reparam.samplers.table import PRIOR, Kind, require_sampler
from reparam.store import DAMAGE, stored, write_folder
from reparam.weighing import affordable, at_most

FORMAT = 1
BATCH = 250


@checked
def draw(
    run: Run,
    sampler: str = PRIOR,
    n: int = 64,
    *,
    temperature: float = 1.0,
    draw_x: bool = False,
    seed: int = 0,
    **named: Any,
) -> Float[Tensor, "N ..."]:
    """n new examples of a run's model, from its prior or from a sampler fitted to its training codes.

    Args:
        run: A trained run; a sampler that is fitted now is kept in its folder, and used from there the next time.
        sampler: ``prior``, or a name of :data:`SAMPLERS`.
        n: How many, at least 1.
        temperature: Of the prior, 0 or more.
        draw_x: Draw x from p(x|z) instead of taking its mean.
        seed: Every draw of new examples follows from it.
        **named: What the model must be told, by name: one value for all, or n of them. A fitted sampler knows the codes
            of all examples together, whatever was told of them.
    Raises:
        UnknownNameError: if there is no such sampler.
        ConfigError: if n or the temperature makes no sense, or a temperature is given to a fitted sampler.
        RefusedError: if the sampler is none for the model's latents.
    """
    if not (hasattr(n, "__index__") and n >= 1):
        raise ConfigError(f"draw: n is {n!r}, expected a whole number of new examples, 1 or more.")
    if not 0 <= temperature < math.inf:
        raise ConfigError(f"draw: temperature is {temperature}, expected a number of 0 or more. Leave it out for 1.")
    if sampler == PRIOR:
        with seeded(seed, "sample"):
            return run.model.given(**named).sample(n, temperature, draw_x)
    if temperature != 1.0:
        raise ConfigError(f"The {sampler} sampler has no temperature; it belongs to the prior.")
    _, make = sampler_of(run, sampler)
    with seeded(seed, "sample", sampler):
        return make(n, draw_x, **named)


def sampler_of(run: Run, name: str) -> tuple[str, Callable[..., Tensor]]:
    """A fitted sampler by name, as ``evaluate`` takes it: (n, draw, and what the model is told) -> n new examples.

    Draws come from torch's current generator.

    Raises:
        UnknownNameError: if there is no such sampler.
        RefusedError: if it is none for the model's latents.
    """
    fit, model = fitted(run, name), run.model

    def make(n: int, draw: bool = False, **named: Any) -> Tensor:
        if set(named) & set(model.observes):
            raise RefusedError(
                f"The {name} sampler draws the class with the code. Leave it out, or draw from the prior."
            )
        with evaluating(model):
            if fit.over_codes:
                z = _q_anywhere(model).codebook.vectors(fit.sample(n).long())
            else:
                z = fit.sample(n * (model.latent_dim // model.code_dim)).reshape(n, -1)
            p_x = model.decode(onto_space(model, z), **named)
            return p_x.sample() if draw else p_x.mean

    return name, make


def fitted(run: Run, name: str) -> Sampler:
    """The sampler of a run: as it was kept, or fitted to codes of the training split, by the run's seed, and kept.

    Raises:
        UnknownNameError: if there is no such sampler.
        RefusedError: if it is none for the model's latents.
        RunError: if a kept one is damaged, or the run's data are not at hand.
    """
    kind = require_sampler(name)
    device = next(run.model.parameters()).device
    folder = run.folder / "samplers" / name if run.folder else None
    print_of_model = _fingerprint(run.model)
    if folder is not None and folder.exists():
        found = _read(folder, kind, print_of_model)
        if found is not None:
            return found.to(device)
    of_model, kept = run.samplers.get(name, ("", None))
    if isinstance(kept, Sampler) and of_model == print_of_model:
        return kept.to(device)
    seed = run.config.seed
    with seeded(seed, "sampler", name):
        sampler = kind.maker(**_sizes(run.model, kind), **kind.settings).to(device)
    _fit(sampler, run.model, run.load_data().train, seed)
    if folder is not None:
        content = {"format": FORMAT, "sampler": name, "model": print_of_model, "settings": _settings(sampler)}
        write_folder(folder, content, sampler.state_dict())
    else:
        run.samplers[name] = print_of_model, sampler
    return sampler


def _fit(sampler: Sampler, model: Any, split: Split, seed: int) -> None:
    """Fits a sampler to codes of a split, and to their scales where it takes them and there are some."""
    if not sampler.takes_scales:
        sampler.fit(codes(model, split, sampler.over_codes, seed), seed)
        return
    means, scales = [], []
    with evaluating(model):
        for batch in split.fixed(seed, "codes").batches(BATCH):
            told = batch.pick(model.conditions)
            q = model.infer(batch.x, **told)
            means.append(model.codes(q.mean, **told))
            scales += [model.codes(q.stddev, **told)] if is_density(q) else []
    more = {"scales": torch.cat(scales)} if scales else {}
    sampler.fit(torch.cat(means), seed, **more)


def _q_anywhere(model: Any) -> Any:
    """q(z|x) of an example of zeros: it tells what codes, if any, z is made of."""
    device = next(model.parameters()).device
    with evaluating(model):
        return model.infer(torch.zeros(1, *model.data_shape, device=device), **model.some_told)


def _sizes(model: Any, kind: Kind) -> dict[str, Any]:
    """What a sampler must know of the latents.

    Raises:
        RefusedError: if it is none for them.
    """
    codebook = getattr(_q_anywhere(model), "codebook", None)
    if kind.maker.over_codes != (codebook is not None):
        raise RefusedError(
            "This model's z are codes from a finite set, which have no density. Use --sampler autoregressive."
            if codebook is not None
            else "The autoregressive sampler draws codes from a finite set; this model's z are real numbers. Use gmm."
        )
    if codebook is None:
        return {"latent_dim": model.code_dim}
    return {"grid": codebook.grid, "codes": codebook.codes}


def codes(model: Any, split: Split, over_codes: bool = False, seed: int = 0) -> Float[Tensor, "N L"]:
    """A draw from q(z|x) for each example (of ragged sequences for each step), or the numbers of its codes."""
    found = []
    with evaluating(model), seeded(seed, "codes"):
        for batch in split.fixed(seed, "codes").batches(BATCH):
            told = batch.pick(model.conditions)
            q = model.infer(batch.x, **told)
            found.append(q.indices.to(torch.get_default_dtype()) if over_codes else model.codes(q.sample(), **told))
    return torch.cat(found)


def _fingerprint(model: nn.Module) -> str:
    """Tells whether a kept sampler was fitted to the codes of this model, by its weights."""
    found = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(model.state_dict().items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _settings(sampler: Sampler) -> dict[str, Any]:
    """The arguments of its constructor, as it keeps them."""
    found = {name: getattr(sampler, name) for name in inspect.signature(type(sampler)).parameters}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def _read(folder: Path, kind: Kind, print_of_model: str) -> Sampler | None:
    """A sampler as it was kept; None where it was fitted to another model.

    Raises:
        RunError: if it is damaged.
    """
    try:
        content: dict[str, Any] = read_json(folder / "config.json")
        if content["format"] > FORMAT:
            raise RunError(f"{folder}: written by a newer reparam (format {content['format']:.10g}). Upgrade reparam.")
        if content["model"] != print_of_model:
            return None
        weights = folder / "weights.safetensors"
        settings: dict[str, Any] = {
            name: tuple(v) if isinstance(v, list) else v for name, v in content["settings"].items()
        }
        with seeded("rebuild"):
            sampler = _weighed(lambda: kind.maker(**settings), kind.maker.on_meta, stored(weights))
        sampler.load_state_dict(load_file(weights))
        return sampler.eval()
    except DAMAGE as error:
        if isinstance(error, RunError):
            raise
        reason = " ".join(str(error).split())[:300]
        raise RunError(f"{folder}: the sampler is damaged ({reason}). Remove the folder to fit it again.") from None


def _weighed(build: Callable[[], Sampler], on_meta: bool, most: int) -> Sampler:
    """A sampler, if it has no more weights than are stored."""
    if on_meta:
        return affordable(build, most)
    with at_most(most):
        return build()
