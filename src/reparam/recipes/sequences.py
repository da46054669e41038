"""VAEs of sequences: a latent for each step, and a memory of those before."""

from typing import Any

from reparam.data import DataSpec
from reparam.recipes.building import Recipe, Values, noise


def vrnn(spec: DataSpec) -> Values:
    """Variational RNN: a memory of values and codes, and a code for each step.

    Of real values it predicts mean and scale of a Normal at each step, as eq. 6 of the paper does; the scale is bounded
    from below, by exp(-6) standard deviations of the data. So do ``srnn`` and ``dmm``.

    Source:
        A recurrent latent variable model for sequential data (Chung et al., 2015), arXiv:1506.02216.
    """
    return _sequential(spec)


def srnn(spec: DataSpec) -> Values:
    """Stochastic RNN: a memory of values beside a chain of codes, and a posterior that looks ahead.

    Source:
        Sequential neural models with stochastic layers (Fraccaro et al., 2016), arXiv:1605.07571.
    """
    return _sequential(spec, memory=["x"], markov=True, smoothing=True)


def dmm(spec: DataSpec) -> Values:
    """Deep Markov model: a chain of codes without any other memory, and a posterior that looks ahead.

    Source:
        Structured inference networks for nonlinear state space models (Krishnan et al., 2017), arXiv:1609.09869.
    """
    return _sequential(spec, memory=[], markov=True, smoothing=True)


def _sequential(spec: DataSpec, **dynamics: Any) -> Values:
    network = {"kind": "mlp", "hidden_dims": [128]}
    model = {
        "kind": "sequential",
        "encoder": network,
        "dynamics": {"kind": "recurrent", "step_dim": 16, "hidden_dim": 128} | dynamics,
        "decoder": network,
        "likelihood": _values(spec),
    }
    train = {"batch_size": 16, "learning_rate": 1e-3, "clip": 1.0}
    return {"model": model, "objective": {"kind": "elbo", "warmup": 0.2}, "train": train}


def _values(spec: DataSpec) -> Values:
    """p of one value: of a drawing a mixture, of real numbers a Normal whose mean and scale are both predicted."""
    if spec.drawn:
        return {"kind": "mixture", "components": 20, "pen": True}
    return {"kind": "normal", "scale": "predicted"} if spec.kind == "real" else noise(spec)


SEQUENCES: dict[str, Recipe] = {"vrnn": vrnn, "srnn": srnn, "dmm": dmm}
