"""VAEs whose reconstructions are judged by the features of a network."""

from reparam.data import DataSpec
from reparam.recipes.building import Recipe, Values, variational


def perceptual_vae(spec: DataSpec) -> Values:
    """VAE of pictures, judged by features of a network that is trained on them first (or squeezenet, vgg19, ...).

    We bring features to length 1 and keep a part for the pixels, so that one scale fits any network; with
    ``model.likelihood.network`` ``vgg19`` the layers are those of the paper.

    Source:
        Deep feature consistent variational autoencoder (Hou et al., 2017), arXiv:1610.00291, its feature
        perceptual loss.
    """
    return variational(spec, {"kind": "perceptual"})


PERCEPTUAL: dict[str, Recipe] = {"perceptual-vae": perceptual_vae}
