"""VAEs of groups: what the members of a class have in common, apart from what each has for itself."""

from reparam.data import DataSpec
from reparam.recipes.building import Recipe, Values, noise, variational

CONTENT, STYLE = 10, 10
GROUP_SIZE = 8


def ml_vae(spec: DataSpec) -> Values:
    """Multi-level VAE: content of a group (``groups``, else labels), from all its members, and style of each example.

    Source:
        Multi-level variational autoencoder (Bouchacourt et al., 2018), arXiv:1705.08841; with ten dimensions of each.
    """
    return _grouped(spec, "product")


def group_vae(spec: DataSpec) -> Values:
    """ML-VAE whose groups take the mean of their members' posteriors.

    Source:
        Group-based learning of disentangled representations with generalizability for novel contents (Hosoya, 2019),
        arXiv:1809.02383.
    """
    return _grouped(spec, "mean")


def _grouped(spec: DataSpec, evidence: str) -> Values:
    values = variational(spec, noise(spec))
    values["model"] |= {
        "kind": "grouped",
        "latent_dim": CONTENT + STYLE,
        "content_dim": CONTENT,
        "evidence": evidence,
    }
    return values | {"train": values["train"] | {"group_size": GROUP_SIZE}}


GROUPS: dict[str, Recipe] = {"ml-vae": ml_vae, "group-vae": group_vae}
