"""What codes know of the labels: linear probe, nearest neighbours, and clusters."""

from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from reparam.errors import RefusedError
from reparam.evaluation.extras import extra, linear_classifier, quietly, random_state
from reparam.evaluation.features import is_known, known
from reparam.evaluation.judged import Judged, labels_of

NEIGHBOURS = 5


def probe_accuracies(
    fit: tuple[Float[Tensor, "N L"], Int[Tensor, " N"]], score: tuple[Float[Tensor, "M L"], Int[Tensor, " M"]]
) -> tuple[float, float]:
    """Accuracy of a linear classifier and of the five nearest neighbours, fitted to some codes and scored on others.

    Args:
        fit: Codes and their labels.
        score: Other codes and their labels.

    Raises:
        RefusedError: if the labels to fit to are all the same.
    """
    codes, labels = (values.numpy() for values in fit)
    if len(set(labels.tolist())) < 2:
        raise RefusedError("A probe needs training examples of at least two classes.")
    others, wished = (values.numpy() for values in score)
    neighbours = extra("probe", "scikit-learn", "sklearn.neighbors")
    nearest = neighbours.KNeighborsClassifier(min(NEIGHBOURS, len(codes))).fit(codes, labels)
    linear = linear_classifier("probe", codes, labels)
    return float(linear.score(others, wished)), float(nearest.score(others, wished))


def clustering_information(codes: Float[Tensor, "N L"], labels: Int[Tensor, " N"], seed: int = 0) -> float:
    r"""Normalised mutual information of the labels and of as many clusters of the codes (k-means, best of ten starts).

    .. math:: \frac{2\, I(c; y)}{H(c) + H(y)}

    Raises:
        RefusedError: if the labels are all the same.
    """
    if len(labels.unique()) < 2:
        raise RefusedError("Clusters agree with classes only where there are at least two; these examples are of one.")
    cluster = extra("nmi", "scikit-learn", "sklearn.cluster")
    metrics = extra("nmi", "scikit-learn", "sklearn.metrics")
    means = cluster.KMeans(len(labels.unique()), n_init=10, random_state=random_state(seed, "clusters"))
    with quietly():  # codes may have fewer places than there are clusters
        found = means.fit_predict(codes.numpy())
    return float(metrics.normalized_mutual_info_score(labels.numpy(), found))


def probe(judged: Judged) -> dict[str, Any]:
    """Accuracy on the judged codes of classifiers fitted to codes of at most 10,000 training examples."""
    labels = labels_of(known(judged.training_part))
    fit = judged.training_codes[is_known(judged.training_part)], labels
    linear, nearest = probe_accuracies(fit, (judged.codes, labels_of(judged.split)))
    return {"probe_accuracy": linear, "knn_accuracy": nearest}


def nmi(judged: Judged) -> dict[str, Any]:
    """Agreement of clusters of the judged codes with the labels."""
    return {"nmi": clustering_information(judged.codes, labels_of(judged.split), judged.seed)}
