"""VAEs by what their latent space is: richer posteriors, other spaces, learned priors."""

from typing import Any

from reparam.data import DataSpec
from reparam.recipes.building import Recipe, Values, latent_dim, noise, variational

CLASSES = 10
COMPONENTS = 100  # an encoder pass of as many inputs in every step
MOST_HYPERBOLIC = 10


def _with(spec: DataSpec, **parts: Any) -> Values:
    """The VAE for these data with other parts."""
    values = variational(spec, noise(spec))
    values["model"] |= parts
    return values


def full_normal_vae(spec: DataSpec) -> Values:
    """VAE whose Normal posterior has a full covariance.

    Source:
        An introduction to variational autoencoders (Kingma & Welling, 2019), arXiv:1906.02691, section 2.5.1.
    """
    return _with(spec, posterior={"kind": "full-normal"})


def mixture_vae(spec: DataSpec) -> Values:
    """VAE whose posterior is a mixture of Normals, with implicit gradients.

    Source:
        Implicit reparameterization gradients (Figurnov et al., 2018), arXiv:1805.08498.
    """
    return _with(spec, posterior={"kind": "mixture"})


def planar_vae(spec: DataSpec) -> Values:
    """VAE with a planar flow posterior.

    Source:
        Variational inference with normalizing flows (Rezende & Mohamed, 2015), arXiv:1505.05770.
    """
    return _with(spec, posterior={"kind": "planar"})


def hamiltonian_vae(spec: DataSpec) -> Values:
    """VAE whose draws follow the gradient of log p(x, z) for some leapfrog steps.

    Source:
        Hamiltonian variational auto-encoder (Caterini et al., 2018), arXiv:1805.11328.
    """
    return _with(spec, posterior={"kind": "hamiltonian"})


def riemannian_hamiltonian_vae(spec: DataSpec) -> Values:
    """VAE whose draws follow the gradient of log p(x, z) along a learned metric of the latent space (RHVAE).

    Source:
        Geometry-aware Hamiltonian variational auto-encoder (Chadebec et al., 2020), arXiv:2010.11518.
    """
    return _with(spec, posterior={"kind": "riemannian-hamiltonian"})


def radial_vae(spec: DataSpec) -> Values:
    """VAE with a radial flow posterior.

    Source:
        Variational inference with normalizing flows (Rezende & Mohamed, 2015), arXiv:1505.05770.
    """
    return _with(spec, posterior={"kind": "radial"})


def iaf_vae(spec: DataSpec) -> Values:
    """VAE with an inverse autoregressive flow posterior.

    Source:
        Improved variational inference with inverse autoregressive flow (Kingma et al., 2016), arXiv:1606.04934.
    """
    return _with(spec, posterior={"kind": "inverse-autoregressive"})


def maf_vae(spec: DataSpec) -> Values:
    """VAE with a masked autoregressive flow posterior (zuko); a draw takes a pass for each latent dimension.

    Source:
        Masked autoregressive flow for density estimation (Papamakarios et al., 2017), arXiv:1705.07057.
    """
    flow = {"kind": "flow", "flow": "maf", "transforms": 1, "hidden_dims": [64], "direction": "density"}
    return _with(spec, posterior=flow)


def svae(spec: DataSpec) -> Values:
    """Hyperspherical VAE: von Mises-Fisher posterior, uniform prior on the sphere.

    Source:
        Hyperspherical variational auto-encoders (Davidson et al., 2018), arXiv:1804.00891.
    """
    return _with(spec, posterior={"kind": "von-mises-fisher"}, prior={"kind": "uniform-sphere"})


def poincare_vae(spec: DataSpec) -> Values:
    """Hyperbolic VAE: wrapped Normals on the Poincare ball, for data that form trees.

    Source:
        Continuous hierarchical representations with Poincare variational auto-encoders (Mathieu et al., 2019),
        arXiv:1901.06033.
    """
    wrapped = {"kind": "wrapped-normal"}
    return _with(spec, posterior=wrapped, prior=wrapped, latent_dim=min(MOST_HYPERBOLIC, latent_dim(spec)))


def _discrete(spec: DataSpec, posterior: str) -> Values:
    """Choices among ten classes, half as many as a Normal latent has dimensions."""
    groups = max(1, latent_dim(spec) // 2)
    return _with(
        spec,
        posterior={"kind": posterior, "classes": CLASSES},
        prior={"kind": "categorical", "classes": CLASSES},
        latent_dim=CLASSES * groups,
    )


def gumbel_vae(spec: DataSpec) -> Values:
    """VAE with discrete codes, relaxed by Gumbel-softmax in training and exact when judged.

    Source:
        Categorical reparameterization with Gumbel-softmax (Jang et al., 2017), arXiv:1611.01144.
    """
    return _discrete(spec, "gumbel-softmax")


def categorical_vae(spec: DataSpec) -> Values:
    """VAE with exact discrete codes and straight-through gradients.

    Source:
        Categorical reparameterization with Gumbel-softmax (Jang et al., 2017), arXiv:1611.01144, section 2.2.
    """
    return _discrete(spec, "categorical")


def gmm_prior_vae(spec: DataSpec) -> Values:
    """VAE whose prior is a learned mixture of Normals.

    Source:
        VAE with a VampPrior (Tomczak & Welling, 2018), arXiv:1705.07120, section 3 (the "MoG" prior there).
    """
    return _with(spec, prior={"kind": "mixture", "components": 50})


def vamp_vae(spec: DataSpec) -> Values:
    """VAE whose prior mixes the posteriors of learned pseudo-inputs (100 of them; the paper has 500).

    Source:
        VAE with a VampPrior (Tomczak & Welling, 2018), arXiv:1705.07120.
    """
    return _with(spec, prior={"kind": "vamp", "components": COMPONENTS})


def exemplar_vae(spec: DataSpec) -> Values:
    """VAE whose prior stands on the codes of training examples (100 of them).

    Source:
        Exemplar VAE (Norouzi et al., 2020), arXiv:2004.04795.
    """
    return _with(spec, prior={"kind": "exemplar", "components": COMPONENTS})


def flow_prior_vae(spec: DataSpec) -> Values:
    """VAE whose prior is a masked autoregressive flow (zuko).

    Source:
        Variational lossy autoencoder (Chen et al., 2017), arXiv:1611.02731.
    """
    return _with(spec, prior={"kind": "flow"})


LATENTS: dict[str, Recipe] = {
    "full-normal-vae": full_normal_vae,
    "mixture-vae": mixture_vae,
    "planar-vae": planar_vae,
    "radial-vae": radial_vae,
    "hamiltonian-vae": hamiltonian_vae,
    "riemannian-hamiltonian-vae": riemannian_hamiltonian_vae,
    "iaf-vae": iaf_vae,
    "maf-vae": maf_vae,
    "svae": svae,
    "poincare-vae": poincare_vae,
    "gumbel-vae": gumbel_vae,
    "categorical-vae": categorical_vae,
    "gmm-prior-vae": gmm_prior_vae,
    "vamp-vae": vamp_vae,
    "exemplar-vae": exemplar_vae,
    "flow-prior-vae": flow_prior_vae,
}
