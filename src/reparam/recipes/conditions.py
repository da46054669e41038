"""VAEs that are told something of each example."""

from reparam.data import DataSpec
from reparam.recipes.building import Recipe, Values, noise, variational


def cvae(spec: DataSpec) -> Values:
    """Conditional VAE: the label (or attributes) goes into encoder, decoder and prior.

    Source:
        Learning structured output representation using deep conditional generative models (Sohn et al., 2015).
    """
    values = variational(spec, noise(spec))
    values["model"]["condition"] = {"kind": "vector" if "attributes" in spec.widths else "classes"}
    return values


CONDITIONS: dict[str, Recipe] = {"cvae": cvae}
