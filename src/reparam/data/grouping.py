"""Members of a group side by side in the order of an epoch, so that a batch holds several of each."""

import torch
from jaxtyping import Int
from torch import Tensor


def side_by_side(
    order: Int[Tensor, " N"], groups: Int[Tensor, " N"], size: int, draws: torch.Generator
) -> Int[Tensor, " N"]:
    """The same numbers in runs of members of one group.

    Each group is cut into runs of ``size`` members, who follow each other as in ``order``; the last run of a group has
    what is left. The runs are permuted.

    Args:
        order: Numbers of examples, shuffled.
        groups: The group of each of them; negative for an example that is a group of its own.
        size: Members of a run.
        draws: Permutes the runs.
    """
    own = torch.where(groups < 0, groups.max().clamp_min(0) + 1 + torch.arange(len(groups)), groups)
    by_group = own.argsort(stable=True)
    counts = own.unique(return_counts=True)[1]
    within = torch.arange(len(own)) - (counts.cumsum(0) - counts).repeat_interleave(counts)
    run = (within % size == 0).cumsum(0) - 1
    place = torch.randperm(int(run[-1]) + 1, generator=draws)
    return order[by_group][place[run].argsort(stable=True)]
