"""What objectives share: the terms they show, and what they ask of a trace."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Size, Tensor
from torch.distributions import Distribution

from reparam.distributions import OptimalScale, PointMass, factors, is_density, is_discrete, is_entangled
from reparam.errors import PartError, RefusedError
from reparam.processes import Processes
from reparam.rng import per_example
from reparam.trace import HasNamedValues, Maker, Model, Trace

_RELAXED = (
    "{}: draws of q(z|x) are relaxed in training, where {}. Take the objective 'elbo', or a posterior with exact "
    "draws, such as 'categorical'."
)
_SHARED = "{}: examples of a group share a draw, so densities of one alone make no bound. Take the objective 'elbo'."


def elbo_terms(distortion: Float[Tensor, " B"], rate: Float[Tensor, " B"]) -> dict[str, Tensor]:
    """The plain ELBO and its two terms, as every bound shows them."""
    distortion, rate = distortion.detach(), rate.detach()
    return {"elbo": -(distortion + rate), "distortion": distortion, "rate": rate}


def plain_terms(trace: Trace, cost: Tensor | None = None) -> dict[str, Tensor]:
    """The plain ELBO and its terms, or what stands for them where q is a point mass.

    A point mass has no ELBO, because its KL to a density is infinite. There ``elbo`` is minus the distortion, as for a
    plain autoencoder, less what the method pays for the shape of its codes; the best weights are chosen by that.

    Args:
        trace: Of one batch.
        cost: (), what the method pays, where that means the same at every step.
    """
    if is_density(trace.q):
        return elbo_terms(trace.distortion, trace.rate)
    distortion = trace.distortion.detach()
    return {"elbo": -distortion if cost is None else -(distortion + cost.detach()), "distortion": distortion}


def penalty_terms(trace: Trace) -> dict[str, Tensor]:
    """What the model itself wants kept small, to be shown, where there is such a thing."""
    return {} if trace.penalty is None else {"penalty": trace.penalty.detach()}


def penalised(value: Float[Tensor, " B"], trace: Trace) -> Float[Tensor, " B"]:
    """The value less what the model itself wants kept small."""
    return value if trace.penalty is None else value - trace.penalty


def mean_kl(trace: Trace, group: Processes) -> Float[Tensor, " G"]:
    """The KL of each latent group, the mean over draws and the whole batch (of all processes), nats."""
    return group.mean(trace.kl.mean((0, 1)))


def require_at_least(owner: str, least: float, **settings: float | str) -> None:
    """Checks numbers.

    Raises:
        PartError: if one of them is below ``least``, or no finite number.
    """
    for name, value in settings.items():
        if isinstance(value, str) or not least <= value < float("inf"):
            raise PartError(f"{owner}: {name} is {value}, expected a number of {least:g} or more.")


def require_whole(owner: str, least: int, **settings: int) -> None:
    """Checks whole numbers.

    Raises:
        PartError: if one of them is none, or below ``least``.
    """
    for name, value in settings.items():
        if not hasattr(value, "__index__") or value < least:
            raise PartError(f"{owner}: {name} is {value!r}, expected a whole number of {least} or more.")


def require_noise(owner: str, trace: Trace) -> None:
    """Checks that KL(q || p) and log q exist.

    Raises:
        RefusedError: if q is a point mass, or its draws are relaxed.
    """
    if isinstance(trace.q, PointMass):
        raise RefusedError(
            f"{owner}: q(z|x) is a point mass, so KL(q || p) is infinite. Take a posterior with a density, such as "
            "'normal'."
        )
    if not is_density(trace.q):
        raise RefusedError(_RELAXED.format(owner, "log q is no density"))


def comparable_codes(owner: str, trace: Trace) -> Float[Tensor, "K B L"]:
    """Codes that have the prior's distribution where the aggregate posterior has it.

    Steps behind the end of a sequence, where there are no codes, are filled with draws of the prior.

    Raises:
        RefusedError: if examples share a draw, or draws of q are relaxed.
    """
    if getattr(trace.q, "shared", False):
        raise RefusedError(
            f"{owner}: examples of a group share a draw of their content, as draws of the prior do not, so the two "
            "differ however well they match. Take the objective 'elbo' or 'style-match'."
        )
    if not is_density(trace.q) and not isinstance(trace.q, PointMass):
        raise RefusedError(_RELAXED.format(owner, "no code is one that the prior draws"))
    filled = getattr(trace.q, "padded", None)
    return trace.z if filled is None else filled(trace.z)


def require_draws(owner: str, trace: Trace) -> None:
    """Checks that draws from q differ, so that several say more than one.

    Raises:
        RefusedError: if q is a point mass, or has no noise.
    """
    require_noise(owner, trace)
    if getattr(trace.q, "shared", False):
        raise RefusedError(_SHARED.format(owner))
    if getattr(trace.q, "noiseless", False):
        raise RefusedError(
            f"{owner}: q(z|x) has no noise, so all draws are the same one and weighing them is pointless. Take the "
            "objective 'elbo', or a posterior with noise, such as 'normal'."
        )


def require_path(owner: str, trace: Trace) -> None:
    """Checks that draws of q are functions of its parameters, whose derivative is that of the path.

    Raises:
        RefusedError: if q is a point mass, has no noise, is over classes, or examples share a draw.
    """
    require_noise(owner, trace)
    if getattr(trace.q, "noiseless", False):
        raise RefusedError(
            f"{owner}: q(z|x) has no noise: z is chosen from a set and passes gradients straight through, which is no "
            "derivative of a path. Take the objective 'elbo', or a posterior with noise, such as 'normal'."
        )
    require_draws(owner, trace)
    if is_discrete(trace.q):
        raise RefusedError(
            f"{owner}: draws of classes pass gradients straight through, which is no derivative of their path. Take "
            "the objective 'elbo' or 'iwae', or a posterior such as 'normal'."
        )


def require_fixed_scale(owner: str, trace: Trace) -> None:
    """Checks that p(x|z) has a scale of its own, and not the one that suits the examples which it is asked for.

    Raises:
        RefusedError: if it has not.
    """
    p_x: Any = trace.p_x
    while (inner := getattr(p_x, "base_dist", getattr(p_x, "base", None))) is not None:
        p_x = inner
    if isinstance(p_x, OptimalScale):
        raise RefusedError(
            f"{owner}: the scale 'optimal' would be that of made examples too. Take 'learned', or a number."
        )


def require_factors(owner: str, trace: Trace) -> Distribution:
    """The factors of q(z|x) over single dimensions.

    Raises:
        RefusedError: if q does not factorise.
    """
    if getattr(trace.q, "shared", False):
        raise RefusedError(_SHARED.format(owner))
    found = factors(trace.q)
    if found is None or found.event_shape:
        raise RefusedError(
            f"{owner}: q(z|x) does not factorise over the dimensions of z, so the densities of single dimensions, "
            "q(z_l|x), are not at hand. Take a posterior with independent dimensions, such as 'normal'."
        )
    return found


def require_exchangeable(owner: str, trace: Trace) -> None:
    """Checks that codes whose dimensions come from different examples are codes, too.

    Raises:
        RefusedError: if they are classes, or lie on a sphere or in a ball.
    """
    if is_entangled(trace.q):
        raise RefusedError(
            f"{owner}: dimensions of classes, and of points on a sphere or in a ball, make a code only together, so "
            "those of different examples do not. Take a posterior over all of R^L, such as 'normal'."
        )


def require_prior(owner: str, trace: Trace) -> Distribution:
    """The prior p(z).

    Raises:
        RefusedError: if there is none.
    """
    if trace.p_z is None:
        raise RefusedError(f"{owner}: there is no prior p(z) that codes could match. Give one, such as 'normal'.")
    return trace.p_z


def prior_draws(p_z: Distribution, shape: Size) -> Float[Tensor, "*N L"]:
    """Draws from the prior, with their gradient where they have one; of a shape that ends in L.

    A prior that differs between the B examples of a batch is drawn from equally often for each: together these are
    draws from the mean of p(z|c) over what is told of them.

    Raises:
        RefusedError: if the prior learns from its density alone, which nobody asks for here.
    """
    if getattr(p_z, "learns", False) and not p_z.has_rsample:
        raise RefusedError(
            f"{type(p_z).__name__} learns from its density, which matching by draws never asks for. Take the objective "
            "'elbo', or a fixed prior, such as 'uniform-codes'."
        )
    draw = p_z.rsample if p_z.has_rsample else p_z.sample
    if not p_z.batch_shape:
        return draw(shape[:-1])
    return draw(Size([math.prod(shape[:-1]) // p_z.batch_shape[0]])).reshape(shape)


def require_moved(owner: str, p_z: Distribution, z: Float[Tensor, "K B L"]) -> None:
    """Checks that a prior does not learn from its density alone, where no KL asks for that.

    Args:
        owner: Who asks.
        p_z: The prior.
        z: Some codes.
    Raises:
        RefusedError: if it has parameters, and draws without a gradient.
    """
    if not p_z.has_rsample and torch.is_grad_enabled() and p_z.log_prob(z[:1].detach()).requires_grad:
        raise RefusedError(
            f"{owner}: the prior has parameters that only its density could move, and there is no KL that asks for "
            "that. Take a fixed prior, such as 'normal', or an objective with a KL, such as 'elbo'."
        )


def part_of(whole: Float[Tensor, "K N L"], group: Processes) -> Float[Tensor, "K B L"]:
    """This process's examples of what is alike in all processes."""
    own = whole.shape[1] // group.world
    return whole.narrow(1, group.rank * own, own)


def told_in_games(owner: str, model: Model, batch: HasNamedValues) -> dict[str, Tensor]:
    """What the model must be told of a batch, where that is all that it learns from beside x.

    Raises:
        RefusedError: if it learns from more, which nobody passes on to what it makes.
    """
    if model.observes:
        raise RefusedError(
            f"{owner}: the model learns from {' and '.join(model.observes)} where the data have them, which made "
            "examples have not. Take the objective 'elbo', or a model that is told them (model.condition)."
        )
    return batch.pick(model.conditions)


def new_codes(model: Maker, batch: HasNamedValues, group: Processes) -> Float[Tensor, "B L"]:
    """Draws from p(z), one for each example of the batch, whatever the model is told of it; alike in any division."""
    p_z = model.p_z(**batch.pick(model.conditions))
    if p_z.batch_shape:
        with per_example(1):
            return (p_z.rsample(Size([1])) if p_z.has_rsample else p_z.sample(Size([1])))[0]
    return part_of(prior_draws(p_z, Size([1, len(batch.x) * group.world, *p_z.event_shape])), group)[0]
