"""Disentanglement by how well codes predict ground-truth factors: DCI, SAP, explicitness."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from reparam.errors import RefusedError
from reparam.evaluation.extras import Array, extra, linear_classifier, quietly, random_state
from reparam.evaluation.judged import Judged
from reparam.rng import generator

FITTED, SCORED = 10_000, 5_000
TREES = 20
FEWEST = 6


def _parts(codes: Tensor, factors: Tensor, seed: int) -> tuple[Array, Array, Array, Array]:
    """Codes and factors to fit to, then those to score on: two thirds and one third, at most 10,000 and 5,000.

    Raises:
        RefusedError: if there are too few examples.
    """
    if len(codes) < FEWEST:
        raise RefusedError(f"A predictor of factors needs at least {FEWEST} examples; there are {len(codes)}.")
    order = torch.randperm(len(codes), generator=generator(seed, "factors"))[: FITTED + SCORED]
    fit, score = order.split([len(order) * 2 // 3, len(order) - len(order) * 2 // 3])
    return codes[fit].numpy(), factors[fit].numpy(), codes[score].numpy(), factors[score].numpy()


def importances(
    codes: Float[Tensor, "N L"], factors: Int[Tensor, "N F"], seed: int = 0
) -> tuple[Float[Tensor, "L F"], Float[Tensor, " F"]]:
    """How much each dimension matters to a random forest that predicts a factor, and its accuracy on other examples.

    Importances are the forest's mean decrease in impurity; for each factor they add up to 1, or are all 0 where no
    split helps. Every split looks at every dimension, so that none stands in for a better one.

    Raises:
        RefusedError: if there are too few examples.
    """
    ensemble = extra("dci", "scikit-learn", "sklearn.ensemble")
    fit, fit_factors, score, score_factors = _parts(codes, factors, seed)
    found, accuracies = [], []
    for column in range(factors.shape[1]):
        forest = ensemble.RandomForestClassifier(
            TREES, max_features=None, random_state=random_state(seed, f"forest {column}")
        )
        forest.fit(fit, fit_factors[:, column])
        found.append(torch.from_numpy(forest.feature_importances_))
        accuracies.append(forest.score(score, score_factors[:, column]))
    return torch.stack(found, 1), torch.tensor(accuracies, dtype=torch.float64)


def _concentration(shares: Float[Tensor, "N M"]) -> Float[Tensor, " N"]:
    """One minus the entropy of each row, in units of the largest possible; 0 for a row without mass."""
    if shares.shape[1] < 2:
        return (shares.sum(1) > 0).double()
    p = shares / shares.sum(1, keepdim=True).clamp_min(1e-300)
    entropy = -torch.special.xlogy(p, p).sum(1) / np.log(shares.shape[1])
    return torch.where(shares.sum(1) > 0, 1 - entropy, 0.0)


def disentanglement(matrix: Float[Tensor, "L F"]) -> float:
    r"""How far each dimension matters to one factor only, weighted by how much it matters.

    .. math:: \sum_i \rho_i \bigl(1 - H_F(P_{i \cdot})\bigr), \qquad P_{ij} = \frac{R_{ij}}{\sum_k R_{ik}}, \quad
              \rho_i = \frac{\sum_j R_{ij}}{\sum_{ij} R_{ij}}

    Source:
        A framework for the quantitative evaluation of disentangled representations (Eastwood & Williams, 2018), section
        2, with the weights given there.
    """
    weights = matrix.sum(1) / matrix.sum().clamp_min(1e-300)
    return (weights * _concentration(matrix)).sum().item()


def completeness_of(matrix: Float[Tensor, "L F"]) -> float:
    r"""How far each factor is told by one dimension only; the mean over factors.

    .. math:: \frac{1}{F} \sum_j \bigl(1 - H_L(\tilde P_{\cdot j})\bigr), \qquad
              \tilde P_{ij} = \frac{R_{ij}}{\sum_k R_{kj}}

    Source:
        As :func:`disentanglement`.
    """
    return _concentration(matrix.T).mean().item()


def attribute_scores(codes: Float[Tensor, "N L"], factors: Int[Tensor, "N F"], seed: int = 0) -> Float[Tensor, "L F"]:
    """Balanced accuracy, on other examples, of thresholds on one dimension that predict one factor: S.

    Raises:
        RefusedError: if there are too few examples.
    """
    tree = extra("sap", "scikit-learn", "sklearn.tree")
    metrics = extra("sap", "scikit-learn", "sklearn.metrics")
    fit, fit_factors, score, score_factors = _parts(codes, factors, seed)
    found = torch.zeros(codes.shape[1], factors.shape[1], dtype=torch.float64)
    for column in range(factors.shape[1]):
        values = len(np.unique(fit_factors[:, column]))
        for dim in range(codes.shape[1]):
            thresholds = tree.DecisionTreeClassifier(
                max_leaf_nodes=max(2, values), class_weight="balanced", random_state=0
            ).fit(fit[:, [dim]], fit_factors[:, column])
            with quietly():  # a value that is predicted but not there counts for nothing
                found[dim, column] = metrics.balanced_accuracy_score(
                    score_factors[:, column], thresholds.predict(score[:, [dim]])
                )
    return found


def attribute_gap(scores: Float[Tensor, "L F"], values: Int[Tensor, " F"]) -> float:
    r"""By how much the dimension that predicts a factor best leads the second; the mean over factors.

    .. math:: \frac{1}{F} \sum_k \bigl(S_{(1) k} - S_{(2) k}\bigr)

    The largest value is the mean of 1 - 1 / (number of values): the second dimension still predicts by chance, and
    where there is none, chance stands for it.

    Args:
        scores: How well each dimension predicts each factor, S.
        values: The number of values of each factor.
    Source:
        Variational inference of disentangled latent concepts (Kumar et al., 2018), arXiv:1711.00848, section 3, with
        its score of categorical factors for all of them: thresholds, judged by balanced accuracy. They are found one
        after the other by a decision tree, and judged on examples they were not fitted to.
    """
    rows = scores if len(scores) > 1 else torch.cat([scores, 1 / values.to(scores).unsqueeze(0)])
    first_two = rows.topk(2, dim=0).values
    return (first_two[0] - first_two[1]).mean().item()


def explicitness_of(codes: Float[Tensor, "N L"], factors: Int[Tensor, "N F"], seed: int = 0) -> float:
    """How well a linear classifier on all dimensions tells each value of each factor: mean area under the ROC curve.

    Chance is 0.5.

    Raises:
        RefusedError: if there are too few examples.
    Source:
        Learning deep disentangled embeddings with the F-statistic loss (Ridgeway & Mozer, 2018), arXiv:1802.05312,
        section 3, with one multinomial logistic regression for each factor, as Locatello et al. (2019).
    """
    parts = _parts(codes, factors, seed)
    found = [area for column in range(factors.shape[1]) for area in _areas(*parts, column)]
    if not found:
        raise RefusedError("No value of a factor lies both among the fitted and the scored examples. Judge more.")
    return float(np.mean(found))


def _areas(fit: Array, fit_factors: Array, score: Array, score_factors: Array, column: int) -> Iterator[float]:
    """Area under the ROC curve for each value of one factor that the classifier has seen."""
    metrics = extra("explicitness", "scikit-learn", "sklearn.metrics")
    wished, scored = fit_factors[:, column], score_factors[:, column]
    if len(np.unique(wished)) < 2:
        return
    classifier = linear_classifier("explicitness", fit, wished)
    probabilities = classifier.predict_proba(score)
    for number, value in enumerate(classifier.classes_):
        if 0 < (scored == value).sum() < len(scored):
            yield metrics.roc_auc_score(scored == value, probabilities[:, number])


def dci(judged: Judged) -> dict[str, Any]:
    """Disentanglement, completeness and informativeness; the first one where there are several factors."""
    matrix, accuracies = importances(judged.codes, judged.factors, judged.seed)
    result = {"dci_disentanglement": disentanglement(matrix)} if matrix.shape[1] > 1 else {}
    return result | {"dci_completeness": completeness_of(matrix), "dci_informativeness": accuracies.mean().item()}


def sap(judged: Judged) -> dict[str, Any]:
    """Separated attribute predictability of the posterior means."""
    scores = attribute_scores(judged.codes, judged.factors, judged.seed)
    return {"sap": attribute_gap(scores, judged.factors.amax(0) + 1)}


def explicitness(judged: Judged) -> dict[str, Any]:
    """Explicitness of the posterior means."""
    return {"explicitness": explicitness_of(judged.codes, judged.factors, judged.seed)}
