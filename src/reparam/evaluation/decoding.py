"""What the latent space decodes to: continuity and completeness."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from reparam.errors import RefusedError
from reparam.evaluation.fidelity import distances
from reparam.evaluation.judged import BATCH, Judged
from reparam.rng import generator

WAYS, STEPS = 250, 20
LEVEL = 0.95
_ROWS = 1024


def continuity(judged: Judged) -> dict[str, Any]:
    r"""How far decoded examples jump for small steps in z, on straight ways between codes of judged examples.

    Each of 250 random pairs (a, b) is a way of 20 equal steps. A step in x is compared with the step in z:

    .. math:: r_t = \frac{\lVert \hat x(z_{t+1}) - \hat x(z_t) \rVert}{\lVert z_{t+1} - z_t \rVert} \cdot
              \frac{E \lVert z_a - z_b \rVert}{E \lVert x_a - x_b \rVert}, \qquad
              z_t = z_a + \tfrac{t}{20} (z_b - z_a)

    Both expectations are over the same pairs, so r has no unit and does not change with the scale of z or x: 1 means
    that a step goes as far between examples as it goes between codes. ``continuity_median`` and ``continuity_p95`` are
    quantiles of r over all steps. ``continuity_jump`` is the largest step of a way over its mean step (the median over
    ways): 1 for an even way, 20 where all the change is in one step.

    Raises:
        RefusedError: if all codes are the same.
    """
    codes, draws = judged.codes, generator(judged.seed, "continuity")
    first = torch.randint(len(codes), (WAYS,), generator=draws)
    second = (first + 1 + torch.randint(max(1, len(codes) - 1), (WAYS,), generator=draws)) % len(codes)
    moving = (codes[second] - codes[first]).norm(dim=1) > 0
    if not moving.any():
        raise RefusedError("All codes are the same, so there is no way between them.")
    first, second = first[moving], second[moving]
    along = torch.linspace(0, 1, STEPS + 1, dtype=codes.dtype)[:, None]
    ways = zip(first.tolist(), codes[first], codes[second], strict=True)
    moved = torch.stack([_moves(judged, z + along * (w - z), start) for start, z, w in ways])
    apart = torch.cat([_apart(judged, a, b) for a, b in zip(first.split(BATCH), second.split(BATCH), strict=True)])
    length = (codes[second] - codes[first]).norm(dim=1)
    ratios = moved / (length / STEPS).unsqueeze(1) * (length.mean() / apart.mean())
    median, high = ratios.flatten().quantile(torch.tensor([0.5, 0.95], dtype=ratios.dtype)).tolist()
    mean_step = moved.mean(1)
    jumps = torch.where(mean_step > 0, moved.amax(1) / mean_step, 1.0)
    return {"continuity_median": median, "continuity_p95": high, "continuity_jump": jumps.median().item()}


def _length(values: Tensor) -> Tensor:
    return values.flatten(1).cpu().double().norm(dim=1)


def _apart(judged: Judged, first: Tensor, second: Tensor) -> Tensor:
    """Distances of pairs of judged examples."""
    device = judged.split.device
    return _length(judged.split.batch(first.to(device)).x - judged.split.batch(second.to(device)).x)


def _moves(judged: Judged, z: Tensor, start: int) -> Tensor:
    """How far the decoded example moves from each code to the next; what is told of its start is held."""
    x_hat = judged.decoded(z, start).mean
    return _length(x_hat[1:] - x_hat[:-1])


def nearest_distances(points: Float[Tensor, "N F"], members: Float[Tensor, "M F"]) -> Float[Tensor, " N"]:
    """The distance from each point to the member that is nearest."""
    return torch.cat([distances(part, members).amin(1) for part in points.split(_ROWS)])


def share_among(
    samples: Float[Tensor, "N F"], test: Float[Tensor, "M F"], train: Float[Tensor, "T F"], level: float = LEVEL
) -> float:
    r"""Share of the samples that lie as near to a training example as test examples do.

    .. math:: \frac1N \sum_n \bigl[ d(s_n) \le Q_{0.95}\{d(t_m)\} \bigr], \qquad d(v) = \min_i \lVert v - r_i \rVert

    Raises:
        RefusedError: if the test examples are training examples.
    """
    bound = nearest_distances(test, train).quantile(level)
    if bound <= 0:
        raise RefusedError("The judged examples are training examples, so they do not say how near is near.")
    return (nearest_distances(samples, train) <= bound).double().mean().item()


def completeness(judged: Judged) -> dict[str, Any]:
    """Share of decoded draws from the prior that lie where data lie, by distances in the feature network.

    A draw counts if its nearest of at most 10,000 training examples is no further than for 95 % of the judged examples:
    so data themselves would get 0.95. At most 10,000 judged examples are taken, and as many draws.
    """
    share = share_among(judged.sample_features, judged.real_features, judged.training_features)
    return {"completeness": share, "completeness_n": len(judged.real_features)} | judged.comparison
