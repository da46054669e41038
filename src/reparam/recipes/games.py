"""Models that play against a critic: GANs, and VAEs that judge their pictures as a critic sees them."""

from dataclasses import replace

from reparam.data import DataSpec
from reparam.recipes.building import Recipe, Values, latent_dim, network, noise, told, variational

# averaged weights are what is kept, so the rate need not fall; little momentum, for the opponent moves too
PLAY: Values = {
    "batch_size": 64,
    "learning_rate": 1e-3,
    "betas": [0.5, 0.99],
    "schedule": "constant",
    "clip": None,
    "ema": 0.999,
}


def _grey(spec: DataSpec) -> Values:
    """The likelihood whose mean is the example that is made: grey values stay what they are."""
    return {"kind": "bernoulli"} if spec.kind == "binary" else noise(replace(spec, binarize="none"))


def gan(spec: DataSpec) -> Values:
    """Generative adversarial network: a generator against a critic, whose slope at real examples is held down (R1).

    Source:
        Generative adversarial nets (Goodfellow et al., 2014), arXiv:1406.2661; R1: Mescheder et al. (2018),
        arXiv:1801.04406.
    """
    model = {
        "kind": "implicit",
        "latent_dim": latent_dim(spec),
        "prior": {"kind": "normal"},
        "decoder": {"kind": network(spec)},
        "likelihood": _grey(spec),
    }
    return {"model": model, "objective": {"kind": "gan"}, "train": PLAY}


def wgan(spec: DataSpec) -> Values:
    """Wasserstein GAN: a critic whose slope is held near 1 measures how far made examples are from real ones.

    Source:
        Improved training of Wasserstein GANs (Gulrajani et al., 2017), arXiv:1704.00028, algorithm 1: five steps of the
        critic for each of the generator's, here on one batch of real examples where the paper takes five. The rate is
        that of our other games.
    """
    critic = {"penalty": "interpolated", "penalty_weight": 10.0, "penalty_every": 1, "steps": 5}
    return gan(spec) | {"objective": {"kind": "gan", "gan_loss": "wasserstein", "critic": critic}}


def info_gan(spec: DataSpec) -> Values:
    """InfoGAN: a GAN with a choice of ten and two numbers in its code, which its examples must tell.

    Source:
        InfoGAN (Chen et al., 2016), arXiv:1606.03657, with its code for MNIST.
    """
    values = gan(spec)
    prior = {"kind": "structured", "classes": 10, "uniform": 2}
    values["model"] |= {"latent_dim": latent_dim(spec) + 12, "prior": prior}
    return values | {"objective": {"kind": "info-gan"}}


def cgan(spec: DataSpec) -> Values:
    """Conditional GAN: generator and critic are told the class (or attributes).

    Source:
        Conditional generative adversarial nets (Mirza & Osindero, 2014), arXiv:1411.1784; critic: Miyato & Koyama
        (2018), arXiv:1802.05637.
    """
    values = gan(spec)
    values["model"]["condition"] = told(spec)
    return values


def fm_cgan(spec: DataSpec) -> Values:
    """Conditional GAN by mean feature matching: made examples have the mean features of real ones, class by class.

    The critic's features weigh a hundred times as much as the classifier's: means of a class over the few examples of a
    batch are noisy.

    Source:
        CVAE-GAN (Bao et al., 2017), arXiv:1703.10155, section 3.2.
    """
    values = gan(spec)
    values["model"]["condition"] = {"kind": "classes"}
    return values | {"objective": {"kind": "feature-matching", "critic_weight": 10.0, "class_weight": 0.1}}


def vae_gan(spec: DataSpec) -> Values:
    """VAE-GAN: reconstructs in the features of a critic that tells its pictures from real ones, so they are sharp.

    With the best sigma each feature has the weight of a pixel of the sigma-VAE; our two weights keep the code short
    enough for the prior, and let the critic be heard.

    Source:
        Autoencoding beyond pixels using a learned similarity metric (Larsen et al., 2016), arXiv:1512.09300.
    """
    values = variational(spec, _grey(spec))
    return values | {"objective": {"kind": "vae-gan", "beta": 16.0, "gamma": 0.02}, "train": PLAY}


def cvae_gan(spec: DataSpec) -> Values:
    """CVAE-GAN: a VAE that is told the class, a critic and a classifier, whose features real and made examples share.

    The mean features weigh more than in the paper (1 and 0.03 in place of 0.001), whose features are larger; those of a
    class less than the critic's, since their means over the few examples of a batch are noisier.

    Source:
        CVAE-GAN: fine-grained image generation through asymmetric training (Bao et al., 2017), arXiv:1703.10155.
    """
    values = vae_gan(spec)
    values["model"] |= {"condition": {"kind": "classes"}, "condition_into": ["encoder", "decoder"]}
    return values | {"objective": {"kind": "cvae-gan", "critic_weight": 1.0, "class_weight": 0.03}}


def intro_vae(spec: DataSpec) -> Values:
    """Soft-introspective VAE: the encoder plays the critic, and gives what the decoder makes a low ELBO.

    The likelihood is Normal with sigma^2 = 1/2: the sum of squared errors of the paper's code.

    Source:
        Soft-IntroVAE: analyzing and improving introspective variational autoencoders (Daniel & Tamar, 2021),
        arXiv:2012.13253.
    """
    values = variational(spec, _grey(spec))
    if values["model"]["likelihood"]["kind"] == "normal":
        values["model"]["likelihood"]["scale"] = 0.5**0.5
    return values | {"objective": {"kind": "introspective"}, "train": PLAY}


GAMES: dict[str, Recipe] = {
    "gan": gan,
    "wgan": wgan,
    "info-gan": info_gan,
    "cgan": cgan,
    "fm-cgan": fm_cgan,
    "vae-gan": vae_gan,
    "cvae-gan": cvae_gan,
    "intro-vae": intro_vae,
}
