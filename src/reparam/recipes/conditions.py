"""VAEs that are told something of each example."""

from reparam.data import DataSpec
from reparam.recipes.building import Recipe, Values, noise, told, variational


def cvae(spec: DataSpec) -> Values:
    """Conditional VAE: the label (or attributes) goes into encoder, decoder and prior.

    Source:
        Learning structured output representation using deep conditional generative models (Sohn et al., 2015).
    """
    values = variational(spec, noise(spec))
    values["model"]["condition"] = told(spec)
    return values


def m2(spec: DataSpec) -> Values:
    """Semi-supervised VAE: the class is a latent, seen in some training examples, inferred in the others.

    ``--data.labelled 100`` keeps 100 labels of the training split, which is what it is for; ``evaluate --metrics
    class-accuracy`` and ``classify`` say how well the class is inferred.

    Source:
        Semi-supervised learning with deep generative models (Kingma et al., 2014), arXiv:1406.5298.
    """
    values = cvae(spec)
    model = values["model"]
    model |= {"kind": "semi-supervised", "condition": {"kind": "classes"}, "classifier": dict(model["encoder"])}
    model["condition_into"] = ["encoder", "decoder"]
    return values


CONDITIONS: dict[str, Recipe] = {"cvae": cvae, "m2": m2}
