"""Autoencoders, de-noising autoencoders and the VAE with its common likelihoods."""

from reparam.data import DataSpec
from reparam.recipes.building import Recipe, Values, autoencoder, noise, variational


def ae(spec: DataSpec) -> Values:
    """Autoencoder: a code without noise and a distance (l1, l2, ssim, ms-ssim).

    Source:
        Reducing the dimensionality of data with neural networks (Hinton & Salakhutdinov, 2006).
    """
    return autoencoder(spec)


def dae(spec: DataSpec) -> Values:
    """De-noising autoencoder: reconstructs clean data from damaged ones (mask, gaussian, salt-and-pepper).

    Source:
        Extracting and composing robust features with denoising autoencoders (Vincent et al., 2008).
    """
    values = autoencoder(spec)
    values["model"] |= {"corruption": {"kind": "mask", "probability": 0.5}}
    if len(spec.shape) > 1:
        values["model"]["latent_dim"] = 2 * values["model"]["latent_dim"]
    return values


def vae(spec: DataSpec) -> Values:
    """Variational autoencoder: the ELBO with a Normal posterior and prior.

    Source:
        Auto-encoding variational Bayes (Kingma & Welling, 2014), arXiv:1312.6114.
    """
    return variational(spec, noise(spec))


def beta_vae(spec: DataSpec) -> Values:
    """VAE whose KL weighs beta times, for disentangled dimensions.

    Source:
        beta-VAE (Higgins et al., 2017), eq. 4.
    """
    values = variational(spec, noise(spec))
    values["objective"]["beta"] = 4.0
    return values


def sigma_vae(spec: DataSpec) -> Values:
    """VAE whose Normal noise has the optimal shared sigma, in closed form.

    Source:
        Simple and effective VAE training with calibrated decoders (Rybkin et al., 2021), arXiv:2006.13202.
    """
    return variational(spec, {"kind": "normal", "scale": "optimal"})


def laplace_vae(spec: DataSpec) -> Values:
    """VAE with Laplace noise of a learned scale: the absolute error in nats, robust to outliers.

    Source:
        Auto-encoding variational Bayes (Kingma & Welling, 2014), arXiv:1312.6114, with the l1 likelihood.
    """
    return variational(spec, {"kind": "laplace", "scale": "learned"})


BASIC: dict[str, Recipe] = {
    "ae": ae,
    "dae": dae,
    "vae": vae,
    "beta-vae": beta_vae,
    "sigma-vae": sigma_vae,
    "laplace-vae": laplace_vae,
}
