"""Methods that differ from the VAE, or from the autoencoder, in what they maximise."""

import math

from reparam.data import DataSpec
from reparam.recipes.building import Recipe, Values, autoencoder, latent_dim, noise, variational


def _maximising(spec: DataSpec, objective: Values) -> Values:
    """The VAE for these data, with another objective."""
    return variational(spec, noise(spec)) | {"objective": objective}


def _matching(spec: DataSpec, objective: Values) -> Values:
    """An autoencoder whose codes shall be like draws from a Normal prior."""
    values = autoencoder(spec)
    values["model"]["prior"] = {"kind": "normal"}
    return values | {"objective": objective}


def _regularised(spec: DataSpec, objective: Values) -> Values:
    return autoencoder(spec) | {"objective": {"kind": "rae"} | objective}


def iwae(spec: DataSpec) -> Values:
    """Importance-weighted autoencoder: five draws make one tighter bound.

    Source:
        Importance weighted autoencoders (Burda et al., 2016), arXiv:1509.00519; the paper takes 5 and 50 draws.
    """
    return _maximising(spec, {"kind": "iwae", "samples": 5})


def miwae(spec: DataSpec) -> Values:
    """Mean of several importance-weighted bounds: less noise in the gradient of q.

    Source:
        Tighter variational bounds are not necessarily better (Rainforth et al., 2018), arXiv:1802.04537. The paper's
        8 groups of 8 draws cost four times as much as our 4 of 4.
    """
    return _maximising(spec, {"kind": "iwae", "samples": 16, "groups": 4})


def ciwae(spec: DataSpec) -> Values:
    """Half the ELBO and half the importance-weighted bound.

    Source:
        Tighter variational bounds are not necessarily better (Rainforth et al., 2018), arXiv:1802.04537. The share of
        one half is ours.
    """
    return _maximising(spec, {"kind": "iwae", "samples": 5, "elbo_share": 0.5})


def piwae(spec: DataSpec) -> Values:
    """Importance weighting by parts: the tight bound for the decoder, groups of draws for the encoder.

    Source:
        Tighter variational bounds are not necessarily better (Rainforth et al., 2018), arXiv:1802.04537. The paper's
        8 groups of 8 draws cost four times as much as our 4 of 4.
    """
    return _maximising(spec, {"kind": "piwae", "samples": 16, "groups": 4})


def dreg(spec: DataSpec) -> Values:
    """IWAE with the doubly reparameterised gradient, which stays precise with many draws.

    Source:
        Doubly reparameterized gradient estimators for Monte Carlo objectives (Tucker et al., 2019), arXiv:1810.04152.
    """
    return _maximising(spec, {"kind": "dreg", "samples": 5})


def stl_vae(spec: DataSpec) -> Values:
    """VAE by the path derivative alone: no gradient noise where q is exact.

    Source:
        Sticking the landing (Roeder et al., 2017), arXiv:1703.09194.
    """
    return _maximising(spec, {"kind": "stl", "warmup": 0.05})


def renyi_vae(spec: DataSpec) -> Values:
    """VAE by the variational Renyi bound of order one half.

    Source:
        Renyi divergence variational inference (Li & Turner, 2016), arXiv:1602.02311.
    """
    return _maximising(spec, {"kind": "renyi", "samples": 5, "alpha": 0.5})


def capacity_vae(spec: DataSpec) -> Values:
    """VAE whose rate follows a capacity that rises to 25 nats.

    Source:
        Understanding disentangling in beta-VAE (Burgess et al., 2018), arXiv:1804.03599; the capacity is that of
        dSprites, gamma a tenth of the paper's, which here drowns the distortion.
    """
    return _maximising(spec, {"kind": "capacity", "gamma": 100.0, "capacity": 25.0})


def geco_vae(spec: DataSpec) -> Values:
    """VAE with the smallest rate that keeps the reconstruction error below a tolerance.

    Source:
        Taming VAEs (Rezende & Viola, 2018), arXiv:1810.00597. The tolerance is ours: 0.1 nats for a binary value, and
        one and a half standard deviations of the noise for others; of counts, what those of independent events take.
    """
    return _maximising(spec, {"kind": "geco", "tau": _tolerance(spec)})


def _tolerance(spec: DataSpec) -> float:
    r"""Distortion per value, nats: for Normal noise of scale s and an error of 1.5 s, 1.5^2 / 2 + log s sqrt(2 pi).

    For counts, the bound of a Poisson distribution's entropy, log(2 pi e (m + 1/12)) / 2, with 1 + m the geometric mean
    of 1 + x.
    """
    likelihood = noise(spec)
    if likelihood["kind"] == "bernoulli":
        return 0.1
    if spec.kind == "counts":
        entropies = [
            math.log(2 * math.pi * math.e * (math.expm1(max(shift, 0.0)) + 1 / 12)) / 2 for shift in spec.shift
        ]
        return sum(entropies) / len(entropies)
    units = sum(math.log(scale) for scale in spec.scale) / len(spec.scale) if spec.kind == "real" else 0.0
    return 0.5 * 1.5**2 + math.log(likelihood["scale"]) + 0.5 * math.log(2 * math.pi) + units


def vib_vae(spec: DataSpec) -> Values:
    """VAE with a bottleneck of a given width: the rate is held at a target.

    Source:
        Deep variational information bottleneck (Alemi et al., 2017), arXiv:1612.00410. The target, one nat for each
        latent dimension, is ours.
    """
    return _maximising(spec, {"kind": "vib", "target": float(latent_dim(spec))})


def factor_vae(spec: DataSpec) -> Values:
    """VAE with a penalty on the total correlation of its codes, estimated by a critic.

    Source:
        Disentangling by factorising (Kim & Mnih, 2018), arXiv:1802.05983. The paper's weights go from 10 to 100, and
        its two players have learning rates of their own.
    """
    return _maximising(spec, {"kind": "factor", "gamma": 10.0, "warmup": 0.05})


def beta_tcvae(spec: DataSpec) -> Values:
    """VAE whose total correlation weighs beta times, estimated from the batch.

    Source:
        Isolating sources of disentanglement in VAEs (Chen et al., 2018), arXiv:1802.04942; beta is 6.
    """
    return _maximising(spec, {"kind": "beta-tc", "beta": 6.0, "warmup": 0.05})


def dip_vae_i(spec: DataSpec) -> Values:
    """VAE whose posterior means are uncorrelated and of variance 1.

    Source:
        Variational inference of disentangled latent concepts from unlabeled observations (Kumar et al., 2018),
        arXiv:1711.00848; the diagonal weighs ten times as much as the rest.
    """
    objective = {"kind": "dip", "moments": "means", "off_diagonal": 10.0, "diagonal": 100.0, "warmup": 0.05}
    return _maximising(spec, objective)


def dip_vae_ii(spec: DataSpec) -> Values:
    """VAE whose codes are uncorrelated and of variance 1.

    Source:
        Variational inference of disentangled latent concepts from unlabeled observations (Kumar et al., 2018),
        arXiv:1711.00848; the diagonal weighs as much as the rest.
    """
    objective = {"kind": "dip", "moments": "codes", "off_diagonal": 10.0, "diagonal": 10.0, "warmup": 0.05}
    return _maximising(spec, objective)


def info_vae(spec: DataSpec) -> Values:
    """VAE that also matches the aggregate posterior to the prior, by maximum mean discrepancy.

    Source:
        InfoVAE (Zhao et al., 2017), arXiv:1706.02262. The weights are ours: 0.5 for the KL, 99.5 for the discrepancy.
    """
    objective = {"kind": "mmd", "alpha": 0.5, "weight": 100.0, "kernel": "rbf", "warmup": 0.05}
    return _maximising(spec, objective)


def wae_mmd(spec: DataSpec) -> Values:
    """Wasserstein autoencoder: codes without noise, matched to the prior by maximum mean discrepancy.

    Source:
        Wasserstein auto-encoders (Tolstikhin et al., 2018), arXiv:1711.01558; lambda as for MNIST, beside half the
        squared error.
    """
    return _matching(spec, {"kind": "mmd", "alpha": 1.0, "weight": 10.0, "kernel": "imq"})


def wae_gan(spec: DataSpec) -> Values:
    """Wasserstein autoencoder: codes without noise, matched to the prior by a critic.

    Source:
        Wasserstein auto-encoders (Tolstikhin et al., 2018), arXiv:1711.01558; lambda is a tenth of the paper's, which
        on small images drowns half the squared error.
    """
    return _matching(spec, {"kind": "adversarial", "weight": 1.0})


def swae(spec: DataSpec) -> Values:
    """Sliced Wasserstein autoencoder: codes without noise, matched to the prior along random lines.

    Source:
        Sliced Wasserstein auto-encoders (Kolouri et al., 2018), arXiv:1804.01947; the weight is ours.
    """
    return _matching(spec, {"kind": "sliced", "alpha": 1.0, "weight": 10.0, "projections": 50})


def aae(spec: DataSpec) -> Values:
    """Adversarial autoencoder: codes with Normal noise, matched to the prior by a critic instead of a KL.

    Source:
        Adversarial autoencoders (Makhzani et al., 2016), arXiv:1511.05644, with the Gaussian posterior of section 2.
    """
    return _maximising(spec, {"kind": "adversarial", "weight": 1.0})


def rae_l2(spec: DataSpec) -> Values:
    """Regularised autoencoder: small codes and small weights of the decoder, no noise.

    Source:
        From variational to deterministic autoencoders (Ghosh et al., 2020), arXiv:1903.12436. The weights are ours, for
        an error that is summed over all values.
    """
    return _regularised(spec, {"regularization": "l2", "code_weight": 0.01, "weight": 1e-4})


def rae_gp(spec: DataSpec) -> Values:
    """Regularised autoencoder: small codes and a small gradient of the decoder, no noise.

    Source:
        From variational to deterministic autoencoders (Ghosh et al., 2020), arXiv:1903.12436. The weights are ours, for
        an error that is summed over all values. Compiled graphs cannot be differentiated twice, so they are off.
    """
    values = _regularised(spec, {"regularization": "gradient", "code_weight": 0.01, "weight": 0.01})
    return values | {"train": {"compile": "off"}}


def rae_sn(spec: DataSpec) -> Values:
    """Regularised autoencoder: small codes and a decoder with spectral normalisation, no noise.

    Source:
        From variational to deterministic autoencoders (Ghosh et al., 2020), arXiv:1903.12436. The weight is ours, for
        an error that is summed over all values.
    """
    values = _regularised(spec, {"regularization": "none", "code_weight": 0.01})
    values["model"]["decoder"]["spectral"] = True
    return values


OBJECTIVES: dict[str, Recipe] = {
    "iwae": iwae,
    "miwae": miwae,
    "ciwae": ciwae,
    "piwae": piwae,
    "dreg": dreg,
    "stl-vae": stl_vae,
    "renyi-vae": renyi_vae,
    "capacity-vae": capacity_vae,
    "geco-vae": geco_vae,
    "vib-vae": vib_vae,
    "factor-vae": factor_vae,
    "beta-tcvae": beta_tcvae,
    "dip-vae-i": dip_vae_i,
    "dip-vae-ii": dip_vae_ii,
    "info-vae": info_vae,
    "wae-mmd": wae_mmd,
    "wae-gan": wae_gan,
    "swae": swae,
    "aae": aae,
    "rae-l2": rae_l2,
    "rae-gp": rae_gp,
    "rae-sn": rae_sn,
}
