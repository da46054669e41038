"""Hierarchies of latent groups, from two layers to very deep."""

from typing import Any

from reparam.data import DataSpec
from reparam.networks import even_depth
from reparam.recipes.building import Recipe, Values, latent_dim, network, noise
from reparam.shapes import spatial


def _hierarchical(spec: DataSpec, **hierarchy: Any) -> Values:
    """A hierarchical model with a Normal top prior, trained by the ELBO."""
    levels = {"kind": "discretized-logistic", "components": 5}
    mixture = hierarchy["kind"] == "conv" and spec.effective_kind == "levels"
    return {
        "model": {
            "kind": "hierarchical",
            "hierarchy": hierarchy,
            "top": {"kind": "normal"},
            "likelihood": levels if mixture else noise(spec),
            "kl": "auto",
            "corruption": None,
            "spectral": 0.0,
        },
        "objective": {"kind": "elbo", "warmup": 0.1},
    }


def _rungs(spec: DataSpec) -> list[int]:
    """Widths of three groups of latent vectors, which double on the way down."""
    widest = latent_dim(spec)
    return [max(1, widest // 4), max(1, widest // 2), widest]


def _depth(spec: DataSpec, groups: int, finest: int) -> str:
    """As many groups at each resolution, fewer at the finest one, which takes most of the time."""
    *coarse, (resolution, _) = even_depth(groups, max(spatial(spec.shape)))
    return ",".join(f"{extent}x{count}" for extent, count in (*coarse, (resolution, finest)))


def hvae(spec: DataSpec) -> Values:
    """Two-layer hierarchical VAE: q(z_1|x) q(z_2|z_1,x) and p(z_1) p(z_2|z_1) p(x|z_1,z_2), of gated layers.

    Any prior may stand on top: ``--model.top vamp`` is the paper's.

    Source:
        VAE with a VampPrior (Tomczak & Welling, 2018), arXiv:1705.07120, section 3; its z_2 is our z_1, the top.
    """
    size = latent_dim(spec)
    return _hierarchical(spec, kind="mlp", latent_dims=[size, size], hidden_dims=[300, 300], layer="gated")


def ladder_vae(spec: DataSpec) -> Values:
    """Ladder VAE: each q is the product of a bottom-up Normal and the top-down prior, by their precisions.

    Vectors have the paper's chain of latents, each given the next one above; pictures and signals have a residual map
    beside it on the way down (``--model.hierarchy.skip false`` is the chain). Batch normalisation is left out.

    Source:
        Ladder variational autoencoders (Sonderby et al., 2016), arXiv:1602.02282.
    """
    if network(spec) == "mlp":
        dims = _rungs(spec)
        return _hierarchical(
            spec, kind="mlp", latent_dims=dims, hidden_dims=[200, 200], merge="precision", skip=False, chain=True
        )
    return _hierarchical(spec, kind="conv", depth=_depth(spec, 3, 1), merge="precision")


def biva(spec: DataSpec) -> Values:
    """Bidirectional inference with skip connections: features go up once, all groups above reach each one below.

    BIVA's bottom-up latents are left out: the way up is deterministic.

    Source:
        BIVA (Maaloe et al., 2019), arXiv:1902.02102.
    """
    if network(spec) == "mlp":
        return _hierarchical(spec, kind="mlp", latent_dims=_rungs(spec), hidden_dims=[200, 200], chain=True)
    return _hierarchical(spec, kind="conv", depth=_depth(spec, 2, 1))


def very_deep_vae(spec: DataSpec) -> Values:
    """Very deep VAE: residual top-down blocks over resolutions, each with a latent map.

    The default is for an hour on two CPU cores at 28x28. On a GPU: ``--model.hierarchy.depth
    1x2,4x4,7x8,14x12,28x6 --model.hierarchy.channels 128 --model.hierarchy.latent_channels 16
    --train.batch_size 256 --train.learning_rate 1e-3 --train.precision bfloat16``; NVAE's residual posterior is
    ``--model.hierarchy.merge delta``.

    Source:
        Very deep VAEs (Child, 2020), arXiv:2011.10650; NVAE (Vahdat & Kautz, 2020), arXiv:2007.03898.
    """
    if network(spec) == "mlp":
        dims = _rungs(spec)
        return _hierarchical(
            spec, kind="mlp", latent_dims=[*dims, *dims[-1:]], hidden_dims=[200, 200], layer="residual", merge="delta"
        )
    return _hierarchical(spec, kind="conv", depth=_depth(spec, 5, 2))


HIERARCHIES: dict[str, Recipe] = {
    "hvae": hvae,
    "ladder-vae": ladder_vae,
    "biva": biva,
    "very-deep-vae": very_deep_vae,
}
