"""The table of metrics, and what judges a model by some of them: the numbers of ``evaluation.json``."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from torch import Tensor, nn

from reparam.arguments import checked
from reparam.data import Split, StreamedSplit
from reparam.data.labels import unknown_labels
from reparam.errors import DataError, MissingExtraError, RefusedError, UnknownNameError, nearest
from reparam.evaluation import (
    aggregate,
    checking,
    classifying,
    decoding,
    fidelity,
    filtering,
    fixing,
    imputing,
    information,
    measures,
    perception,
    predicting,
    probing,
    sharpness,
)
from reparam.evaluation.features import AUTO, RANDOM, named_network
from reparam.evaluation.judged import Judged, Progressed, require_labels, told_by_name
from reparam.evaluation.likelihood import evaluating

FEATURES, SAMPLES, WHOLE, LABELS = "features", "samples", "whole", "labels"


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        meaning: What it tells, in one line.
        measure: Gives its numbers.
        needs: The package that this needs.
        keys: What the names of its numbers begin with, beside its own name.
        looks_at: ``features`` of a network; new examples, ``samples``; ``whole`` examples, of which nothing is missing;
            those examples alone whose ``labels`` are known.
    """

    meaning: str
    measure: Callable[[Judged], dict[str, Any]]
    needs: str = ""
    keys: tuple[str, ...] = ()
    looks_at: Collection[str] = ()


METRICS = {
    "elbo": Metric(
        "evidence lower bound, distortion, rate, KL per dimension, active units, nats per example; use of a codebook",
        measures.elbo,
        keys=("distortion", "rate", "kl", "latent_dim", "discrete", "active_units", "code"),
    ),
    "reconstruction": Metric(
        "mse, psnr, ssim of mean reconstructions; of corrupted inputs too where the model de-noises",
        measures.reconstruction,
        keys=("mse", "psnr", "ssim"),
    ),
    "nll": Metric(
        "-log p(x), importance-weighted, nats per example (with nll_stderr, nll_samples, nll_ess; bits_per_dim)",
        measures.nll,
        keys=("noiseless", "bits_per_dim"),
    ),
    "filtered": Metric(
        "-log p(x) of sequences by a particle filter of --samples particles, nats per example and per step",
        filtering.filtered,
    ),
    "collapse": Metric(
        "mutual information of x and z, KL(q(z) || p(z)): is the code used, does the prior fit",
        aggregate.collapse,
        keys=("mutual_information", "aggregate_kl"),
    ),
    "fid": Metric(
        "Frechet distance of samples from data (feature_network)",
        fidelity.fid,
        "torchmetrics",
        looks_at={FEATURES, SAMPLES, WHOLE},
    ),
    "recon-fid": Metric(
        "Frechet distance of reconstructions from data (feature_network)",
        fidelity.recon_fid,
        "torchmetrics",
        looks_at={FEATURES, WHOLE},
    ),
    "perceptual-distance": Metric(
        "distance of reconstructions from pictures in features of a network (perceptual_network)",
        perception.perceptual_distance,
        keys=("perceptual",),
        looks_at={WHOLE},
    ),
    "kid": Metric(
        "kernel distance (unbiased MMD) of samples from data (feature_network)",
        fidelity.kid,
        "torchmetrics",
        looks_at={FEATURES, SAMPLES, WHOLE},
    ),
    "precision-recall": Metric(
        "share of samples among data, share of data among samples (feature_network)",
        fidelity.precision_and_recall,
        keys=("precision", "recall"),
        looks_at={FEATURES, SAMPLES, WHOLE},
    ),
    "inception-score": Metric(
        "clear and various classes of the samples, by a classifier (feature_network)",
        fidelity.inception_score,
        "torchmetrics",
        looks_at={FEATURES, SAMPLES, WHOLE},
    ),
    "class-diversity": Metric(
        "variance of samples within a class, as a share of the data's (feature_network); of models told the class",
        fidelity.class_diversity,
        looks_at={FEATURES, SAMPLES, WHOLE},
    ),
    "sharpness": Metric(
        "variance of the Laplacian of samples and of reconstructions, as shares of the data's; of pictures",
        sharpness.sharpness,
        looks_at={SAMPLES},
    ),
    "continuity": Metric(
        "how far decoded examples jump for small steps in z: median, 95th percentile, largest",
        decoding.continuity,
        looks_at={WHOLE},
    ),
    "completeness": Metric(
        "share of prior draws whose decoding lies where data lie (feature_network)",
        decoding.completeness,
        looks_at={FEATURES, SAMPLES, WHOLE},
    ),
    "ppc": Metric(
        "posterior-predictive checks of mean, variance, ink, zeros and neighbours: two-sided p-values",
        checking.ppc,
        looks_at={SAMPLES, WHOLE},
    ),
    "imputation": Metric(
        "error of each observation told from the others (imputation_error_NAME, imputation_accuracy_NAME)",
        imputing.imputation,
    ),
    "class-accuracy": Metric(
        "share of examples whose class p(C|x) tells, by Bayes' rule; of models that are told the class",
        classifying.class_accuracy,
        looks_at={LABELS},
    ),
    "probe": Metric(
        "accuracy of a linear probe and of nearest neighbours, training codes -> labels",
        probing.probe,
        "sklearn",
        keys=("knn",),
        looks_at={LABELS},
    ),
    "nmi": Metric("agreement of clusters of the codes with the labels", probing.nmi, "sklearn", looks_at={LABELS}),
    "mig": Metric("mutual information gap: is each factor told by one dimension", information.mig, looks_at={LABELS}),
    "sampled-mig": Metric(
        "the same of draws from q(z|x), as its paper has it", information.sampled_mig, looks_at={LABELS}
    ),
    "dci": Metric(
        "disentanglement, completeness, informativeness, by random forests from codes to factors",
        predicting.dci,
        "sklearn",
        looks_at={LABELS},
    ),
    "sap": Metric(
        "separated attribute predictability: gap of the two best dimensions for each factor",
        predicting.sap,
        "sklearn",
        looks_at={LABELS},
    ),
    "factor-vae": Metric(
        "FactorVAE score: the dimension that varies least tells the fixed factor", fixing.factor_vae, looks_at={LABELS}
    ),
    "beta-vae": Metric(
        "beta-VAE score: differences of pairs of codes tell the fixed factor",
        fixing.beta_vae,
        "sklearn",
        looks_at={LABELS},
    ),
    "modularity": Metric("does each dimension tell of one factor only", information.modularity, looks_at={LABELS}),
    "explicitness": Metric(
        "mean area under the ROC curve of linear classifiers from codes to values of factors",
        predicting.explicitness,
        "sklearn",
        looks_at={LABELS},
    ),
}


OF_FEATURES = frozenset(name for name, metric in METRICS.items() if FEATURES in metric.looks_at)
OF_SAMPLES = frozenset(name for name, metric in METRICS.items() if SAMPLES in metric.looks_at)
OF_LABELS = frozenset(name for name, metric in METRICS.items() if LABELS in metric.looks_at)
OF_LIKELIHOOD = ("elbo", "nll")
IN_ITS_PLACE = ("fid", "precision-recall")
UNTRAINED = (
    "The noise of p(x|z) was not trained with the rest of the model, so log p(x) and the ELBO say little about what it "
    "makes."
)


def names_of(model: Any, metrics: str | Iterable[str] | None, likelihood_trained: bool = True) -> tuple[str, ...]:
    """Names of the metrics that are asked for: one, several, or None for those that the model is judged by."""
    if isinstance(metrics, str):
        return (metrics,)
    if metrics is not None:
        return tuple(metrics)
    if likelihood_trained:
        return tuple(model.judged_by)
    return tuple(dict.fromkeys([*IN_ITS_PLACE, *(name for name in model.judged_by if name not in OF_LIKELIHOOD)]))


def is_of(key: str, metrics: Iterable[str]) -> bool:
    """True for the name of a number, or of the reason for having none, that one of these metrics gives."""
    starts = [start for name in metrics for start in (name.replace("-", "_"), *METRICS[name].keys)]
    return any(key == start or key.startswith(f"{start}_") for start in starts)


@checked
def evaluate(
    model: Any,
    split: Split,
    metrics: str | Iterable[str] | None = None,
    *,
    train: Split | None = None,
    features: nn.Module | str | None = None,
    samples: int = 500,
    sampler: Callable[..., Tensor] | None = None,
    limit: int | None = None,
    seed: int = 0,
    progress: Progressed | None = None,
    likelihood_trained: bool = True,
) -> dict[str, Any]:
    """Judges a model on a split.

    A metric that has no answer for this model or these data leaves the reason under its name, ``nll_refused``; what
    must be known to read a number stands beside it, ``nll_note``.

    Args:
        model: Any model that fills a Trace.
        split: What to judge on; dynamic binarisation is drawn once, from ``seed``. A model that is told classes finds
            them by name. Metrics of labels look at those examples alone whose labels are known.
        metrics: Names from :data:`METRICS`, or one of them; when None, those that the model is judged by: ELBO,
            reconstruction and nll of one with a density, fid and precision-recall of one without; where its likelihood
            was not trained, fid, precision-recall and reconstruction. Of these a missing package leaves one out.
        train: The training split, for metrics that learn from it (``probe``), compare with it (``completeness``) or
            train a feature network on it.
        features: Examples -> (B, F), in which samples and data are compared; its ``name`` is put into the result, and
            its ``head`` (features -> class logits), where it has one, serves the inception score. Or a name, as
            :func:`~reparam.evaluation.features.named_network` has them. When None or ``auto``, a small classifier is
            trained on the labels of ``train``, once; without labels it is a random network.
        samples: Importance samples per example for ``nll``, particles per sequence for ``filtered``.
        sampler: (n, draw=..., and what the model is told) -> n new examples, for metrics of samples; the model's own
            ``sample`` when None.
        limit: Judge on a seeded random subset of this many examples, never the first ones.
        seed: Seed of the subset and of every draw.
        progress: Called with a metric's name, examples done, and examples in all.
        likelihood_trained: False where the objective did not train the noise of p(x|z); see ``trains_likelihood`` of
            :class:`~reparam.objectives.Objective`.
    Raises:
        DataError: if there is nothing to judge on, or a class of the data is none of a model's that is told classes.
        UnknownNameError: if a metric is unknown.
        RefusedError: if the model must be told each label, and some are not known; if only one metric is asked for, and
            it has no answer; if there is a sampler, and none is of
            new examples; if there is a feature network, and none looks at features.
        PartError: if the feature network cannot look at these data.
        MissingExtraError: if a metric that is asked for needs a package that is not installed.
    """
    for one in (split,) if train is None else (split, train):
        if not isinstance(one, Split | StreamedSplit):
            raise DataError(f"evaluate: got a {type(one).__name__}, expected one split of the data, such as data.test.")
    if not len(split):
        raise DataError("evaluate: the split has no example to judge on. Pass one that has, such as data.train.")
    if limit is not None and not (hasattr(limit, "__index__") and limit >= 1):
        raise DataError(f"evaluate: limit is {limit!r}, expected a whole number of examples, 1 or more.")
    wanted, missing = names_of(model, metrics, likelihood_trained), {}
    for name in wanted:
        if name not in METRICS:
            raise UnknownNameError(f"There is no metric {name!r}. {nearest(name, METRICS)}")
        needs = METRICS[name].needs
        if needs and find_spec(needs) is None:
            missing[name] = MissingExtraError(f"The metric {name}", needs, "eval")
    if metrics is not None:
        for error in missing.values():
            raise error  # before hours are spent on the others
    if sampler is not None and not OF_SAMPLES & {*wanted}:
        raise RefusedError(
            f"evaluate: none of {', '.join(wanted)} judges new examples, so a sampler changes nothing. Ask for fid or "
            "completeness, or leave the sampler out."
        )
    if features not in (None, AUTO) and not OF_FEATURES & {*wanted}:
        raise RefusedError(
            f"evaluate: none of {', '.join(wanted)} compares examples in features, so a feature network changes "
            "nothing. Ask for fid or completeness, or leave the network out."
        )
    if isinstance(features, str):
        features = _named(features, split, train, seed)
    split, train = told_by_name(model, split), None if train is None else told_by_name(model, train)
    require_labels(model, split)
    chosen = split.fixed(seed, "evaluation").subset(limit, seed)
    result: dict[str, Any] = {"n": len(chosen), "seed": seed}
    if split.spec.binarize != "none":
        result["binarize"] = split.spec.binarize
    unknown = unknown_labels(chosen) if OF_LABELS & {*wanted} else 0
    if unknown:
        result["labelled"] = len(chosen) - unknown  # metrics of labels look at these alone
    if model.conditions:
        result["told"] = list(model.conditions)  # likelihoods are those of x given these
    judged = Judged(
        model, chosen, train=train, features=features, samples=samples, sampler=sampler, seed=seed, progress=progress
    )
    with evaluating(model):
        for name in [name for name in METRICS if name in wanted]:
            try:
                if name in missing:
                    raise RefusedError(str(missing[name]))
                if split.spec.observations and WHOLE in METRICS[name].looks_at:
                    raise RefusedError(
                        f"{name} compares whole examples, and of several observations some may be missing. Take "
                        "imputation."
                    )
                result |= METRICS[name].measure(judged.labelled if name in OF_LABELS else judged)
                if name in OF_LIKELIHOOD and not likelihood_trained:
                    result[f"{name}_note"] = UNTRAINED
            except RefusedError as refusal:
                if len(set(wanted)) == 1:
                    raise
                result[f"{name.replace('-', '_')}_refused"] = str(refusal)
    return result


def _named(name: str, split: Split, train: Split | None, seed: int) -> nn.Module | None:
    """The feature network of a name, before hours are spent; None for that which is made when it is asked for."""
    if name == RANDOM and train is None:
        raise RefusedError("A random feature network has the units of the training split. Pass train=data.train.")
    return None if name == AUTO else named_network(name, split if train is None else train, seed)
