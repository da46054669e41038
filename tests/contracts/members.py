"""The members of every seam with the settings they are tested under, and tiny data of every kind."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from reparam.data import Data, DataSpec, Split, load_data
from reparam.distributions import CODES, joint
from reparam.networks import ClassCondition
from reparam.objectives import CriticSettings
from reparam.parts import CONDITIONAL, FROM_CONTEXT, PARTS, SEVERAL, WRAPPER, constructor
from reparam.priors import Prior
from reparam.rng import reseed
from reparam.shapes import Shape, numel

Settings = Mapping[str, Any]
PICTURES: tuple[Shape, ...] = ((1, 8, 8), (1, 28, 28), (3, 64, 48), (1, 28, 20), (2, 5, 7), (1, 1, 40))
SIGNALS: tuple[Shape, ...] = ((4, 33),)
VECTORS: tuple[Shape, ...] = ((17,), (1,))
SHAPES = PICTURES + SIGNALS + VECTORS
OF_SEQUENCES = ("vrnn", "srnn", "dmm")
OF_OBSERVATIONS = ("mvae", "mmvae", "mopoe-vae", "hybrid-vae")
OF_PICTURES = ("perceptual-vae", "autoencoder-kl", "vq-gan")  # recipes that have no answer for other data

CONV: tuple[Settings, ...] = (
    {},
    {"channels": (3, 4), "block": "plain", "hidden_dim": 8},
    {"channels": (4, 5, 6), "blocks": (1, 2, 1), "patch": 1, "hidden_dim": 7},
    {"channels": (4,), "blocks": 2, "patch": 3, "hidden_dim": 5},
)
MAP: tuple[Settings, ...] = tuple({k: v for k, v in settings.items() if k != "hidden_dim"} for settings in CONV)
MLP: tuple[Settings, ...] = (
    {"hidden_dims": (9,)},
    {"hidden_dims": (7, 7, 5), "layer": "gated"},
    {"hidden_dims": (6, 6, 8), "layer": "residual"},
)
SPECTRAL_MLP: tuple[Settings, ...] = (
    {"hidden_dims": (9,), "spectral": True},
    {"hidden_dims": (6, 8), "layer": "residual", "spectral": True},
)
SPECTRAL_CONV: tuple[Settings, ...] = ({"channels": (3, 4), "hidden_dim": 8, "spectral": True},)
CRITIC: Settings = {"hidden_dims": (7, 6)}


def critic(**more: Any) -> CriticSettings:
    """A small one."""
    return CriticSettings(hidden_dim=7, **more)


HIERARCHY: dict[str, tuple[Settings, ...]] = {
    "mlp": (
        {"latent_dims": (2, 3), "hidden_dims": (7, 5)},
        {"latent_dims": (2, 2, 3), "hidden_dims": (6,), "merge": "precision", "skip": False, "chain": True},
        {"latent_dims": (1, 2, 1), "hidden_dims": (6, 4), "layer": "residual", "merge": "delta", "chain": True},
        {"latent_dims": (3, 1, 2), "hidden_dims": (5,), "layer": "plain", "skip": False},
    ),
    "conv": (
        {"channels": 6, "latent_channels": 2},
        {"depth": "1x2", "channels": 4, "latent_channels": 3, "merge": "delta"},
        {"depth": "1x1,2x2,5x1", "channels": 5, "latent_channels": 1, "hidden_channels": 2, "merge": "precision"},
        {"depth": "2x1,4x2", "channels": 4, "latent_channels": 2, "merge": "precision", "skip": False},
        {"depth": "1x1,3x2", "channels": 4, "latent_channels": 1, "skip": False},
    ),
    WRAPPER: ({},),
    CONDITIONAL: ({"condition_dim": 2},),
}
DISPERSIONS: tuple[Settings, ...] = tuple({"dispersion": dispersion} for dispersion in ("shared", "each"))
SCALES: tuple[Settings, ...] = tuple({"scale": scale} for scale in (0.3, "learned", "optimal", "predicted"))

ROWS: dict[str, dict[str, tuple[Settings, ...]]] = {
    "condition": {"classes": ({"classes": 3},), "vector": ({"numbers": 2}, {"numbers": 4, "name": "factors"})},
    "encoder": {
        "mlp": MLP,
        "conv": CONV,
        "map": MAP,
        WRAPPER: ({},),
        CONDITIONAL: ({"condition_dim": 2},),
        SEVERAL: ({"shifts": ((1.0, 2.0), ()), "scales": ((0.5, 3.0), ())},),
    },
    "decoder": {
        "mlp": (*MLP, *SPECTRAL_MLP),
        "conv": (*CONV, *SPECTRAL_CONV),
        "map": MAP,
        CONDITIONAL: ({"condition_dim": 2},),
        SEVERAL: ({},),
    },
    "hierarchy": HIERARCHY,
    "dynamics": {
        "recurrent": (
            {"step_dim": 2, "hidden_dim": 5},
            {"step_dim": 3, "hidden_dim": 4, "memory": ("x",), "markov": True, "smoothing": True},
            {"step_dim": 2, "hidden_dim": 6, "memory": (), "markov": True},
            {"step_dim": 2, "hidden_dim": 5, "unit": "lstm"},
            {"step_dim": 3, "hidden_dim": 4, "memory": ("x",), "markov": True, "smoothing": True, "unit": "lstm"},
        ),
    },
    "posterior": {
        "normal": ({}, {"grid": (3, 1)}),
        "full-normal": ({},),
        "laplace": ({},),
        "point": ({},),
        "vq": (
            {"codes": 5},
            {"codes": 4, "grid": (3,), "decay": None, "commitment": 0.5},
            {"codes": 4, "metric": "cosine", "revive": 0.0},
        ),
        "residual-vq": ({"codes": 4, "stages": 3}, {"codes": 3, "stages": 2, "grid": (3,)}),
        "fsq": ({"code_levels": (5, 4, 3)}, {"code_levels": (3,), "grid": (3,)}),
        "lfq": ({}, {"grid": (3,), "entropy": 0.3, "temperature": 0.5}),
        "mixture": ({"components": 2},),
        "planar": ({"transforms": 2},),
        "radial": ({"transforms": 2},),
        "inverse-autoregressive": ({"transforms": 2, "hidden_dims": (9, 8)},),
        "flow": (
            {"flow": "nsf", "transforms": 2, "hidden_dims": (8,)},
            {"flow": "maf", "transforms": 2, "hidden_dims": (8,), "direction": "density"},
            {"flow": "nice", "transforms": 2, "hidden_dims": (8,)},
            {"flow": "real-nvp", "transforms": 2, "hidden_dims": (8,)},
        ),
        "hamiltonian": ({"leapfrogs": 2},),
        "riemannian-hamiltonian": ({"leapfrogs": 2, "centroids": 3, "iterations": 2},),
        "von-mises-fisher": ({},),
        "wrapped-normal": ({}, {"curvature": 0.5}),
        "categorical": ({"classes": 3},),
        "gumbel-softmax": ({"classes": 3, "relaxation": 0.5},),
        "experts": (
            {"widths": (2, 2)},
            {"widths": (1, 3), "pooling": "mixture"},
            {"widths": (2, 2), "pooling": "mixture-of-products"},
        ),
    },
    "prior": {
        "normal": ({},),
        "laplace": ({},),
        "uniform-codes": ({},),
        "pixelcnn": ({"grid": (3, 1), "codes": 4, "channels": 4, "layers": 2},),
        "transformer": ({"grid": (3,), "codes": 5, "width": 8, "heads": 2},),
        "mixture": ({"components": 4},),
        "vamp": ({"components": 3},),
        "exemplar": ({"components": 3},),
        "flow": (
            {"flow": "maf", "transforms": 2, "hidden_dims": (8,)},
            {"flow": "nsf", "transforms": 2, "hidden_dims": (8,)},
            {"flow": "real-nvp", "transforms": 2, "hidden_dims": (8,)},
        ),
        "uniform-sphere": ({},),
        "wrapped-normal": ({}, {"curvature": 0.5}),
        "categorical": ({"classes": 3},),
        "structured": ({"classes": 2, "uniform": 1}, {"classes": 3, "uniform": 0}),
        CONDITIONAL: ({"condition_dim": 2}, {"condition_dim": 3, "hidden_dims": (5,)}),
    },
    "likelihood": {
        "bernoulli": ({},),
        "continuous-bernoulli": ({},),
        "normal": SCALES,
        "laplace": SCALES,
        "categorical": ({"levels": 2}, {"levels": 17}),
        "discretized-logistic": ({"levels": 17}, {"levels": 256}, {"levels": 17, "components": 3}),
        "reconstruction": tuple({"distance": name} for name in ("l1", "l2", "ssim", "ms-ssim")),
        "perceptual": (
            {},
            {"network": "random", "layers": (1, 5), "weights": (0.5, 2.0), "distance": "l1", "scale": 0.3},
        ),
        "mixture": ({"components": 2}, {"components": 3, "pen": True}),
        "poisson": ({},),
        "negative-binomial": DISPERSIONS,
        "zero-inflated-negative-binomial": DISPERSIONS,
        "one-hot": ({},),
        WRAPPER: ({},),
        SEVERAL: ({},),
    },
    "corruption": {
        "mask": ({"probability": 0.4},),
        "gaussian": ({"scale": 0.5},),
        "salt-and-pepper": ({"probability": 0.3},),
        "hidden": ({"shapes": ((2,), (1, 2, 2))},),
        WRAPPER: ({},),
    },
    "objective": {
        "elbo": (
            {},
            {"samples": 3, "beta": 4.0, "free_bits": 0.1},
            {"warmup": 0.5, "warmup_kind": "cyclic", "cycles": 2},
        ),
        "balanced-elbo": ({}, {"samples": 2, "warmup": 0.8}),
        "iwae": ({}, {"samples": 6, "groups": 3}, {"samples": 4, "elbo_share": 0.3, "free_bits": 0.2}),
        "piwae": ({"samples": 6, "groups": 2},),
        "dreg": ({}, {"samples": 1}),
        "stl": ({}, {"samples": 3, "beta": 2.0, "warmup": 0.5}),
        "fivo": ({}, {"particles": 3, "resample_below": 0.0}),
        "renyi": ({}, {"samples": 4, "alpha": -1.5}, {"alpha": 1.0}, {"alpha": 3.0}, {"alpha": "max"}),
        "capacity": ({}, {"gamma": 5.0, "capacity": 0.5, "warmup": 1.0, "samples": 2}),
        "geco": ({}, {"tau": -0.5, "samples": 2, "speed": 0.1, "decay": 0.5}),
        "vib": ({}, {"target": 0.5, "samples": 2, "speed": 0.1, "decay": 0.0}),
        "factor": (CRITIC, CRITIC | {"samples": 3, "gamma": 30.0, "warmup": 0.5, "free_bits": 0.1}),
        "beta-tc": ({}, {"alpha": 0.5, "gamma": 2.0, "sampling": "weighted", "samples": 3, "warmup": 0.5}),
        "dip": ({}, {"moments": "codes", "diagonal": 10.0, "samples": 2, "warmup": 0.5, "free_bits": 0.1}),
        "mmd": ({}, {"alpha": 0.2, "weight": 50.0, "kernel": "rbf", "scales": (0.5, 2.0), "samples": 2}),
        "sliced": ({}, {"alpha": 0.0, "projections": 7, "samples": 2, "free_bits": 0.1}),
        "style-match": ({}, {"weight": 3.0, "kernel": "rbf", "samples": 2, "warmup": 0.5}),
        "adversarial": (CRITIC, CRITIC | {"samples": 3, "weight": 10.0, "slope_weight": 0.0}),
        "rae": tuple({"regularization": name} for name in ("l2", "gradient", "none")),
        "gan": (
            {},
            {"gan_loss": "saturating", "critic": critic(penalty="spectral")},
            {"gan_loss": "hinge", "critic": critic(penalty_every=1, penalty_weight=5.0)},
            {"gan_loss": "wasserstein", "critic": critic(penalty="interpolated", penalty_every=1, steps=2)},
        ),
        "introspective": ({}, {"beta": 0.5, "beta_neg": 2.0, "alpha": 1.0}),
        "info-gan": ({}, {"choice_weight": 0.5, "number_weight": 1.0, "critic": critic(penalty_every=1)}),
        "feature-matching": ({}, {"critic_weight": 0.5, "class_weight": 2.0, "critic": critic()}),
        "vae-gan": ({}, {"gamma": "adaptive"}, {"gamma": 0.3, "beta": 2.0, "sigma": 0.5, "critic": critic(start=0.5)}),
        "reconstruction-gan": (
            {},
            {"weight": 2.0, "beta": 0.5, "gan_loss": "non-saturating", "critic": critic(start=0.5)},
        ),
        "cvae-gan": ({}, {"kl_weight": 1.0, "pair_weight": 2.0, "critic_weight": 0.1, "critic": critic()}),
    },
}
ELSEWHERE = {
    ("encoder", SEVERAL),
    ("decoder", SEVERAL),
    ("likelihood", SEVERAL),
    ("likelihood", "one-hot"),
    ("likelihood", "mixture"),
    ("posterior", "experts"),
    ("corruption", "hidden"),
    ("objective", "style-match"),
}
SUPPORT = {
    "bernoulli": "binary",
    "continuous-bernoulli": "unit",
    "normal": "real",
    "laplace": "real",
    "categorical": "levels",
    "discretized-logistic": "levels",
    "reconstruction": "unit",
    "perceptual": "unit",
    "mixture": "real",
    "poisson": "counts",
    "negative-binomial": "counts",
    "zero-inflated-negative-binomial": "counts",
    "one-hot": "classes",
    WRAPPER: "real",
    SEVERAL: "real",
}


def row(kind: str, settings: Settings, *more: Any) -> Any:
    """One parameter of a test, with a readable name."""
    words = [kind, *(name if is_dataclass(value) else f"{name}={value}" for name, value in settings.items())]
    words += ["x".join(map(str, value)) for value in more if isinstance(value, tuple)]
    return pytest.param(kind, settings, *more, id=" ".join(words).replace(" ", "-"))


def members(section: str) -> list[Any]:
    """(kind, settings) of every member of a seam; a kind without a row here has none and fails in ``test_table.py``.

    Conditional ones answer only when they are told something: ``test_conditions.py`` holds what is asked of them. Those
    that take what is missing, or flags of it, are in ``models/test_observations.py``, mixtures of Normals in
    ``likelihoods/test_mixture.py``, what takes groups in ``models/test_grouped.py``.
    """
    kinds = [kind for kind in PARTS[section] if kind != CONDITIONAL and (section, kind) not in ELSEWHERE]
    return [row(kind, settings) for kind in kinds for settings in ROWS[section].get(kind, ())]


def takes(kind: str, shape: Shape) -> bool:
    """Whether a network can be built for this shape."""
    return kind not in ("conv", "map") or len(shape) > 1


def fits(settings: Settings, shape: Shape) -> bool:
    """Whether the finest resolution is no higher than the data's."""
    words = str(settings.get("depth", "1x1")).split(",")
    return int(words[-1].split("x")[0]) <= max(shape[1:], default=1)


def units(shape: Shape) -> dict[str, tuple[float, ...]]:
    """A shift and a scale for each channel, exact in float32."""
    numbers = range(shape[0])
    return {"shift": tuple(2.0 - i for i in numbers), "scale": tuple(0.5 + 0.25 * (i % 4) for i in numbers)}


def make(section: str, kind: str, settings: Settings, shape: Shape = (1, 12, 11), latent_dim: int = 3) -> Any:
    """Builds a member, with all that is not a setting."""
    if kind == WRAPPER:
        base = {"encoder": "mlp", "likelihood": "normal", "corruption": "mask", "hierarchy": "mlp"}[section]
        extra = {"data_shape": shape} if section == "corruption" else {}
        return constructor(section, kind)(make(section, base, ROWS[section][base][0], shape), **units(shape), **extra)
    if kind == CONDITIONAL:
        base = {"encoder": "mlp", "decoder": "mlp", "prior": "normal", "hierarchy": "mlp"}[section]
        return constructor(section, kind)(make(section, base, ROWS[section][base][0], shape, latent_dim), **settings)
    if kind == SEVERAL:
        shapes: tuple[Shape, ...] = {"encoder": ((4,), (2, 2, 2))}.get(section, ((2,), (1, 2, 2)))
        base = {"encoder": "mlp", "decoder": "mlp", "likelihood": "normal"}[section]
        parts = [make(section, base, ROWS[section][base][0], own, latent_dim) for own in shapes]
        return constructor(section, kind)(parts, **settings)
    if (section, kind) in ELSEWHERE:
        shape = (3,)
    if (section, kind) == ("decoder", "map"):  # each position has as many numbers
        latent_dim *= numel(make("encoder", kind, settings, shape).grid)
    context = {
        "data_shape": shape,
        "latent_dim": latent_dim,
        "out_shape": shape,
        "in_dim": 6,
        "condition": ClassCondition(3),
    }
    context |= {"structure": (2, 1, 1), "feature_dim": 6}
    accepted = inspect.signature(constructor(section, kind)).parameters
    known = {name: context[name] for name in FROM_CONTEXT if name in accepted and name in context}
    return constructor(section, kind)(**known, **settings)


def knowing_codes(prior: Prior) -> Prior:
    """A prior that knows the codes it is over, where it is over codes: those of a small table of vectors."""
    if prior.space == CODES:
        settings = {"grid": getattr(prior, "grid", (3,)), "codes": getattr(prior, "codes", 4)}
        posterior = make("posterior", "vq", settings, latent_dim=prior.latent_dim)
        prior.use(posterior.to(prior.zero).codebook)
    return prior


def inference(latent_dim: int = 3) -> Callable[[Tensor], Distribution]:
    """Some q(z|x), for priors that are made of posteriors: Normals whose means depend on x."""

    def infer(x: Tensor) -> Distribution:
        loc = x.flatten(1)[:, :latent_dim] - 0.5
        return joint(Normal(loc, 0.5 + 0.1 * torch.arange(latent_dim).to(x), validate_args=False), 1)

    return infer


def every_part() -> Iterator[tuple[str, str, Settings]]:
    """Every member of every seam."""
    for section, rows in ROWS.items():
        for kind in PARTS[section]:
            for settings in rows.get(kind, ()):
                yield section, kind, settings


def seeded_(module: nn.Module, seed: int = 0, spread: float = 0.3) -> nn.Module:
    """Gives every parameter new values, so that nothing is zero by initialisation."""
    draws = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.data = parameter.data + spread * torch.randn(parameter.shape, generator=draws).to(parameter)
    return module


def values(support: str, *shape: int, levels: int = 17, dtype: torch.dtype = torch.float64) -> Tensor:
    """Examples of a kind of data, drawn from torch's current generator."""
    u = torch.rand(*shape, dtype=dtype)
    match support:
        case "binary":
            return u.round()
        case "levels":
            return (u * (levels - 1)).round() / (levels - 1)
        case "unit":
            return u
        case "counts":
            return (9 * u * u).floor()
        case _:
            return 3 * torch.randn(*shape, dtype=dtype) - 1


def dead(module: nn.Module) -> list[str]:
    """Parameters without a gradient, or with one that is zero everywhere or not finite."""
    gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
    return [name for name, g in gradients.items() if g is None or not g.isfinite().all() or not g.any()]


def tiny_spec(kind: str, shape: Shape) -> DataSpec:
    """What a model must know of tiny data."""
    extra: dict[str, Any] = units(shape) if kind in ("real", "counts") else {}
    extra |= {"levels": 17 if kind == "levels" else 0, "classes": tuple("012")}
    return DataSpec("tiny", shape, kind, **extra)  # type: ignore[arg-type]


def tiny_split(kind: str, shape: Shape, count: int, seed: int) -> Split:
    """Examples of a kind, with labels."""
    with torch.random.fork_rng():
        reseed(seed)
        x = values(kind, count, *shape, dtype=torch.float32)
    return Split(x, tiny_spec(kind, shape), {"labels": torch.arange(count) % 3})


def several_data() -> Data:
    """A picture, some numbers and a class of each example; some of the numbers are missing."""
    with torch.random.fork_rng():
        reseed(0)
        picture, numbers = torch.rand(30, 1, 9, 8), 5 + 2 * torch.randn(30, 3)
    numbers[::5] = torch.nan
    given = {"picture": picture, "numbers": numbers, "labels": torch.arange(30) % 3}
    return load_data(given, observations=("picture", "numbers", "labels"))


def tiny_data(kind: str = "real", shape: Shape = (4,), counts: tuple[int, int, int] = (24, 8, 8)) -> Data:
    """Train, validation and test of a few examples each."""
    return Data(*(tiny_split(kind, shape, count, seed) for seed, count in enumerate(counts)))
