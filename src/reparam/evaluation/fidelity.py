"""How close a model's samples are to data, in the features of a network: FID, KID, precision and recall, IS.

Samples are means of p(x|z), or draws of it where x is binary; ``samples`` in the result says which.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from reparam.errors import RefusedError
from reparam.evaluation.extras import extra, quietly
from reparam.evaluation.judged import Judged, labels_of
from reparam.rng import seeded

NEIGHBOURS = 3
SUBSETS, SUBSET_ITEMS = 100, 1000
PARTS, PER_CLASS = 10, 50
_ROWS = 1024


class _Given(nn.Identity):
    """Stands where torchmetrics wants a network: the features are made already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features


def _require(features: Tensor, least: int, purpose: str) -> None:
    if len(features) < least:
        raise RefusedError(f"{purpose} of {len(features)} example(s) is not defined; judge at least {least}.")


def _torchmetrics(module: str) -> Any:
    return extra("Comparing samples with data", "torchmetrics", f"torchmetrics.image.{module}")


def frechet_distance(real: Float[Tensor, "N F"], fake: Float[Tensor, "M F"]) -> float:
    r"""Frechet distance of two sets of features, each taken for a Normal distribution.

    .. math:: \lVert \mu_r - \mu_f \rVert^2 + \mathrm{tr}\bigl(\Sigma_r + \Sigma_f - 2 (\Sigma_r \Sigma_f)^{1/2}\bigr)

    It is biased upwards for few examples: compare at equal numbers only.

    Raises:
        RefusedError: if a set has fewer than two examples.
    Source:
        GANs trained by a two time-scale update rule (Heusel et al., 2017), arXiv:1706.08500, eq. 6; by torchmetrics.
    """
    for features in (real, fake):
        _require(features, 2, "The Frechet distance")
    metric = _torchmetrics("fid").FrechetInceptionDistance(feature=_Given(real.shape[1]))
    metric.update(real.double(), real=True)
    metric.update(fake.double(), real=False)
    return max(0.0, metric.compute().item())


def kernel_distance(real: Float[Tensor, "N F"], fake: Float[Tensor, "M F"], seed: int = 0) -> tuple[float, float]:
    r"""Squared maximum mean discrepancy with a cubic kernel, unbiased: its mean and deviation over 100 random subsets.

    .. math:: k(a, b) = \bigl(a^\top b / F + 1\bigr)^3

    Subsets have 1,000 examples, or half of the smaller set where it has fewer than 2,000.

    Raises:
        RefusedError: if a set has fewer than four examples.
    Source:
        Demystifying MMD GANs (Binkowski et al., 2018), arXiv:1801.01401, section 4; by torchmetrics.
    """
    for features in (real, fake):
        _require(features, 4, "The kernel distance")
    size = min(SUBSET_ITEMS, len(real) // 2, len(fake) // 2)
    with quietly(), seeded(seed, "kid"):
        metric = _torchmetrics("kid").KernelInceptionDistance(
            feature=_Given(real.shape[1]), subsets=SUBSETS, subset_size=size
        )
        metric.update(real, real=True)
        metric.update(fake, real=False)
        mean, spread = metric.compute()
    return mean.item(), spread.item()


def precision_recall(
    real: Float[Tensor, "N F"], fake: Float[Tensor, "M F"], neighbours: int = NEIGHBOURS
) -> tuple[float, float]:
    r"""Share of the samples that lie among the data, and share of the data that lie among the samples.

    A set covers the balls around its members that reach to their k-th nearest neighbour in the set.

    .. math:: f(\phi, \Phi) = 1 \text{ if } \lVert \phi - \phi' \rVert \le \lVert \phi' - \mathrm{NN}_k(\phi', \Phi)
              \rVert \text{ for some } \phi' \in \Phi, \text{ else } 0

    Raises:
        RefusedError: if a set has no more than ``neighbours`` examples.
    Source:
        Improved precision and recall metric (Kynkaanniemi et al., 2019), arXiv:1904.06991, eqs. 1 and 2, k = 3.
    """
    for features in (real, fake):
        _require(features, neighbours + 1, "Precision")
    return _covered(fake, real, neighbours), _covered(real, fake, neighbours)


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances, (N, M); 0 for equal rows."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def _covered(points: Tensor, members: Tensor, neighbours: int) -> float:
    """Share of the points that lie in the ball of some member."""
    radii = torch.cat([distances(part, members).kthvalue(neighbours + 1).values for part in members.split(_ROWS)])
    covered = torch.cat([(distances(part, members) <= radii).any(1) for part in points.split(_ROWS)])
    return covered.double().mean().item()


def inception_score_of(logits: Float[Tensor, "N C"], seed: int = 0) -> tuple[float, float | None]:
    r"""Exponential of the mean divergence of p(c|x) from p(c): its mean and deviation over parts of the samples.

    .. math:: \exp E_x\, \mathrm{KL}\bigl(p(c \mid x)\, \Vert\, p(c)\bigr)

    There are ten parts where each holds about 50 examples for every class, else as many as do, at least one; one part
    has no deviation, None. Few examples bias the score downwards: it cannot exceed the number of examples in a part.

    Raises:
        RefusedError: if there are fewer than two examples.
    Source:
        Improved techniques for training GANs (Salimans et al., 2016), arXiv:1606.03498, section 4; by torchmetrics.
    """
    _require(logits, 2, "The inception score")
    with quietly(), seeded(seed, "inception score"):
        parts = max(1, min(PARTS, len(logits) // (PER_CLASS * logits.shape[1])))
        metric = _torchmetrics("inception").InceptionScore(feature=_Given(logits.shape[1]), splits=parts)
        metric.update(logits)
        mean, spread = metric.compute()
    return mean.item(), spread.item() if parts > 1 else None


def within_classes(features: Float[Tensor, "N F"], labels: Int[Tensor, " N"]) -> float:
    r"""Variance of features within a class, summed over the features: the mean over classes of two examples or more.

    .. math:: \frac1C \sum_c \sum_f \mathrm{Var}(f \mid c)

    Raises:
        RefusedError: if no class has two examples.
    """
    members = [features[labels == c] for c in labels.unique()]
    found = [some.var(0).sum() for some in members if len(some) > 1]
    if not found:
        raise RefusedError("The variance within a class takes a class of two examples or more; judge more of them.")
    return torch.stack(found).mean().item()


def fid(judged: Judged) -> dict[str, Any]:
    """Frechet distance of new samples from as many judged examples, at most 10,000."""
    distance = frechet_distance(judged.real_features, judged.sample_features)
    return {"fid": distance, "fid_n": len(judged.real_features)} | judged.comparison


def recon_fid(judged: Judged) -> dict[str, Any]:
    """Frechet distance of the mean reconstructions of at most 10,000 judged examples from these."""
    distance = frechet_distance(judged.real_features, judged.reconstruction_features)
    return {"recon_fid": distance, "recon_fid_n": len(judged.real_features), "feature_network": judged.network_name}


def kid(judged: Judged) -> dict[str, Any]:
    """Kernel distance of new samples from the judged examples."""
    mean, spread = kernel_distance(judged.real_features, judged.sample_features, judged.seed)
    return {"kid": mean, "kid_std": spread} | judged.comparison


def precision_and_recall(judged: Judged) -> dict[str, Any]:
    """Precision and recall of new samples and as many judged examples, at most 10,000."""
    precision, recall = precision_recall(judged.real_features, judged.sample_features)
    return {"precision": precision, "recall": recall} | judged.comparison


def inception_score(judged: Judged) -> dict[str, Any]:
    """Inception score of new samples under the classifier that the feature network is.

    Raises:
        RefusedError: if the network is no classifier.
    """
    head = getattr(judged.network, "head", None)
    if head is None:
        raise RefusedError(
            f"The inception score needs a classifier, and the feature network is none ({judged.network_name}): the "
            "data have no labels of two or more classes to train one, or another network was asked for."
        )
    weight = next(head.parameters())
    mean, spread = inception_score_of(head(judged.sample_features.to(weight)).double().cpu(), judged.seed)
    deviation = {} if spread is None else {"inception_score_std": spread}
    return {"inception_score": mean} | deviation | judged.comparison


def class_diversity(judged: Judged) -> dict[str, Any]:
    r"""Variance of the features of made examples within a class, as a share of that of real ones.

    .. math:: \frac{\sum_c \sum_f \mathrm{Var}(f(x'_c))}{\sum_c \sum_f \mathrm{Var}(f(x_c))}

    with made examples x'_c of class c, as many as there are judged ones x_c, at most 10,000 in all. Below 1 the
    examples of a class are too much alike.

    Raises:
        RefusedError: if the model is not told the class, no class has two examples, or all examples of a class are
            alike.
    """
    if "labels" not in judged.model.conditions:
        raise RefusedError("It needs examples of a class that was asked for, and this model is not told the class.")
    labels = labels_of(judged.compared)
    real = within_classes(judged.real_features, labels)
    if not real > 0:
        raise RefusedError("All real examples of a class are alike, so there is no diversity to compare with.")
    return {"class_diversity": within_classes(judged.sample_features, labels) / real} | judged.comparison
