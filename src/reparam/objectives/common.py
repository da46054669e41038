"""What objectives share: the terms they show."""

from jaxtyping import Float
from torch import Tensor

from reparam.trace import Trace


def elbo_terms(distortion: Float[Tensor, " B"], rate: Float[Tensor, " B"]) -> dict[str, Tensor]:
    """The plain ELBO and its two terms, as every bound shows them."""
    distortion, rate = distortion.detach(), rate.detach()
    return {"elbo": -(distortion + rate), "distortion": distortion, "rate": rate}


def penalised(value: Float[Tensor, " B"], trace: Trace) -> Float[Tensor, " B"]:
    """The value less what the model itself wants kept small."""
    return value if trace.penalty is None else value - trace.penalty
