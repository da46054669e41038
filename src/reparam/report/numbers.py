"""The headline numbers: what each key of ``evaluation.json`` is called, its unit, and what it means."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any

from reparam.report.measured import BESIDE, COMPARED, MEASURED, OF_SAMPLES


@dataclass(frozen=True)
class Number:
    """One row of the table of numbers, all of it text."""

    name: str
    value: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class _Known:
    name: str
    unit: str
    meaning: str
    show: Callable[[float], str]


def _nats(value: float) -> str:
    return f"{value:,.2f}".replace("-", "\N{MINUS SIGN}")


def _digits(value: float) -> str:
    return (f"{value:,.0f}" if value.is_integer() and abs(value) < 1e9 else f"{value:.4g}").replace(
        "-", "\N{MINUS SIGN}"
    )


_KNOWN = {
    "elbo": _Known(
        "ELBO",
        "nats per example",
        "Lower bound on log p(x): minus distortion minus rate. Higher is better.",
        _nats,
    ),
    "distortion": _Known(
        "Distortion",
        "nats per example",
        "\N{MINUS SIGN}log p(x|z) at codes drawn from q(z|x): what the code does not tell about x. Negative values are "
        "possible where x is continuous.",
        _nats,
    ),
    "rate": _Known(
        "Rate",
        "nats per example",
        "KL(q(z|x) || p(z)): how much the code tells about x. A rate near 0 means that the code is not used.",
        _nats,
    ),
    "active_units": _Known(
        "Active units",
        "latent dimensions",
        "Dimensions whose posterior mean really changes with x (variance over the data above 0.01).",
        _digits,
    ),
    "code_use": _Known(
        "Codebook use",
        "share of the codes",
        "Codes that some example chose. Codes that nobody chooses are wasted.",
        lambda value: f"{value:.1%}",
    ),
    "code_perplexity": _Known(
        "Codebook perplexity",
        "codes",
        "How many codes are in use as if all of them were chosen equally often.",
        _digits,
    ),
    "code_bits": _Known(
        "Length of a code",
        "bits per example",
        "What the numbers of the codes of one example take, all codes alike.",
        _digits,
    ),
    "bits_per_dim": _Known(
        "Bits per dimension",
        "bits",
        "The bound or likelihood as code length for each value of x, for data of separate values. Lower is better.",
        lambda value: f"{value:.3f}",
    ),
    "mse": _Known(
        "Mean squared error",
        "squared units of x",
        "Between x and its reconstruction, averaged over all values; a de-noising model reconstructs from the "
        "corrupted copy. Lower is better.",
        _digits,
    ),
    "mse_corrupted": _Known(
        "Mean squared error of the corrupted input",
        "squared units of x",
        "Between the clean x and its corrupted copy: what the model has to beat.",
        _digits,
    ),
    "psnr": _Known(
        "PSNR",
        "dB",
        "Peak signal-to-noise ratio of the reconstructions: squared error on a logarithmic scale. Higher is better.",
        _nats,
    ),
    "ssim": _Known(
        "SSIM",
        "at most 1",
        "Structural similarity of x and its reconstruction: local contrast and structure. 1 means identical.",
        lambda value: f"{value:.3f}",
    ),
}
_KNOWN |= {key: _Known(*words, _digits) for key, words in MEASURED.items()}
_BY_START = {
    "imputation_accuracy_": ("{}, hidden", "accuracy", "Share of the items whose class the other observations tell."),
    "imputation_error_": (
        "{}, hidden",
        "standard deviations",
        "Root of the mean squared error of what the other observations tell; of pictures in units of x.",
    ),
}
_WITHOUT_BOUND = _Known(
    "Reconstruction loss",
    "per example",
    "What training of a plain autoencoder makes small: \N{MINUS SIGN}log p(x|z) in nats, or the distance it was given. "
    "Lower is better.",
    _digits,
)
_NOTE = "_note"
_SHOWN_ELSEWHERE = (
    BESIDE
    | {"n", "seed", "latent_dim", "elbo_stderr", "nll", "nll_n"}
    | {f"nll_{part}" for part in ("stderr", "mc_stderr", "samples", "ess")}
)


def is_number(value: object) -> bool:
    """True for finite numbers, and not for True and False."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def headline_numbers(evaluation: Mapping[str, Any]) -> list[Number]:
    """Rows of the table: the likelihood first, then the known keys that are there, then unknown scalar ones."""
    rows = [_likelihood(evaluation)] if is_number(evaluation.get("nll")) else []
    known_here = _KNOWN if "elbo" in evaluation or "rate" in evaluation else _KNOWN | {"distortion": _WITHOUT_BOUND}
    for key, known in known_here.items():
        if is_number(evaluation.get(key)):
            value = _with_error(evaluation, key, known.show(float(evaluation[key])), float(evaluation[key]))
            rows.append(
                Number(
                    known.name, value, known.unit, known.meaning + _compared(evaluation, key) + _note(evaluation, key)
                )
            )
    for key, value in evaluation.items():
        if key not in _KNOWN and key not in _SHOWN_ELSEWHERE and is_number(value):
            start = next((start for start in _BY_START if key.startswith(start)), "")
            name, unit, meaning = _BY_START.get(start, ("{}", "", ""))
            rows.append(Number(name.format(key.removeprefix(start)), _digits(float(value)), unit, meaning))
    rows += _of_others(evaluation, {row.name for row in rows})
    return rows + _of_samplers(evaluation)


def _of_others(evaluation: Mapping[str, Any], shown: set[str]) -> list[Number]:
    """Numbers that were measured only on a part of the items or by another seed, where no other is there."""
    rows: list[Number] = []
    parts = [found for found in _inside(evaluation, "subsets").values() if is_number(found.get("n"))]
    for found in sorted(parts, key=lambda found: found["n"], reverse=True):
        how = f"with seed {found.get('seed')}" if found["n"] == evaluation.get("n") else f"on {found['n']:,} items"
        more = [row for row in headline_numbers(found) if row.name not in shown]
        rows += [replace(row, meaning=f"{row.meaning} Measured {how}.".strip()) for row in more]
        shown |= {row.name for row in more}
    return rows


def _of_samplers(evaluation: Mapping[str, Any]) -> list[Number]:
    """Numbers of samples that do not come from the prior: ``FID, by gmm``."""
    names = {_KNOWN[key].name for key in OF_SAMPLES}
    return [
        replace(row, name=f"{row.name}, by {sampler}")
        for sampler, found in _inside(evaluation, "samplers").items()
        for row in headline_numbers(found)
        if row.name in names
    ]


def _inside(evaluation: Mapping[str, Any], place: str) -> dict[str, Mapping[str, Any]]:
    """The numbers that stand by themselves at a place, by name."""
    there = evaluation.get(place)
    items = there.items() if isinstance(there, Mapping) else ()
    return {str(name): found for name, found in items if isinstance(found, Mapping)}


def refusals(evaluation: Mapping[str, Any]) -> dict[str, str]:
    """Why a metric that was asked for has no number, by the metric's name as in its keys."""
    ending = "_refused"
    return {key.removesuffix(ending): str(why) for key, why in evaluation.items() if key.endswith(ending)}


def notes(evaluation: Mapping[str, Any]) -> list[str]:
    """What must be known to read the numbers, each sentence once."""
    return list(dict.fromkeys(str(text) for key, text in evaluation.items() if key.endswith(_NOTE)))


def _note(evaluation: Mapping[str, Any], key: str) -> str:
    """What must be known to read one number."""
    return f" {evaluation[key + _NOTE]}" if key + _NOTE in evaluation else ""


def _compared(evaluation: Mapping[str, Any], key: str) -> str:
    """In which features examples were compared, and what was taken of p(x|z)."""
    network = "perceptual_network" if key == "perceptual_distance" else "feature_network" if key in COMPARED else ""
    features = f" Features: {evaluation[network]}." if network in evaluation else ""
    there = key in OF_SAMPLES & COMPARED and "samples" in evaluation
    return features + (f" Samples: {evaluation['samples']} of p(x|z)." if there else "")


def with_error(value: float, error: float) -> str:
    """Two significant digits of the error, and the value to the same decimal: ``91.23 \N{PLUS-MINUS SIGN} 0.42``."""
    error = error if error > 1e-6 * max(1.0, abs(value)) else 0.0  # what rounding leaves is none
    places = 1 - math.floor(math.log10(float(f"{error:.1e}"))) if error > 0 else 2
    whole, rest = (f"{round(number, places):,.{max(0, places)}f}" for number in (value, error))
    return f"{whole} \N{PLUS-MINUS SIGN} {rest if error > 0 else 0}"


def _with_error(evaluation: Mapping[str, Any], key: str, shown: str, value: float) -> str:
    """A value with its standard error where there is one, else as it is shown alone."""
    if not is_number(evaluation.get(f"{key}_stderr")):
        return shown
    return with_error(value, float(evaluation[f"{key}_stderr"])).replace("-", "\N{MINUS SIGN}")


RELIABLE = 10  # effective samples, below which log p(x) is loose
_PROBABILITY = "It is the log of a probability, since x takes separate values."
_DENSITY = (
    "It is the log of a density, which can exceed 0; it does not compare with probabilities of binary or whole x."
)


def _likelihood(evaluation: Mapping[str, Any]) -> Number:
    parts = ["Log-likelihood of unseen data, by importance sampling. Higher is better."]
    if "discrete" in evaluation:
        parts.append(_PROBABILITY if evaluation["discrete"] else _DENSITY)
    if is_number(evaluation.get("nll_stderr")):
        parts.append("\N{PLUS-MINUS SIGN} is the standard error of the mean over the examples.")
    if evaluation.get("noiseless"):
        parts.append("By one draw of each code, which is all there is where codes have no noise: a lower bound.")
    elif is_number(evaluation.get("nll_samples")):
        count = int(evaluation["nll_samples"])
        drawn = f"S = {count:,} sample{'s' if count > 1 else ''} for each example"
        if is_number(evaluation.get("nll_ess")):
            drawn += (
                f", worth {_digits(round(float(evaluation['nll_ess']), 1))} independent ones (effective sample size)"
            )
        parts.append(f"{drawn}. More samples tighten the estimate from below.")
    loose = _is_loose(evaluation)
    if loose:
        of_draws = ""
        if is_number(evaluation.get("nll_mc_stderr")):
            error = with_error(0, float(evaluation["nll_mc_stderr"])).rpartition(" ")[2]
            of_draws = f" (that of the draws is {error})"
        parts.append(f"So few draws count that it is a loose lower bound, whose error is larger than stated{of_draws}.")
    if is_number(evaluation.get("nll_n")) and evaluation["nll_n"] != evaluation.get("n"):
        parts.append(f"Measured on {int(evaluation['nll_n']):,} examples.")
    value = _with_error(evaluation, "nll", _nats(-float(evaluation["nll"])), -float(evaluation["nll"]))
    if told := evaluation.get("told"):
        parts.append(f"The model is told {' and '.join(told)} (c) of each example.")
    meaning = " ".join(parts) + _note(evaluation, "nll")
    name = "log p(x|c)" if told else "log p(x)"
    return Number(f"{name}, at least" if loose else name, value, "nats per example", meaning)


def _is_loose(evaluation: Mapping[str, Any]) -> bool:
    """Whether log p(x) was estimated by draws of which hardly any counts."""
    few = is_number(evaluation.get("nll_ess")) and evaluation["nll_ess"] < RELIABLE
    return few and evaluation.get("nll_samples", 1) > 1


def duration(seconds: float) -> str:
    """Seconds as a person would say them: ``41 s``, ``9 min 58 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def balance(metrics: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> str:
    """Who is winning a game, in a sentence, where one side is far ahead at the end; else nothing.

    The mean of the critic's accuracy over the last tenth of the steps counts in which the model heard it, on training
    and on validation examples, where there are some; with a loss of differences a critic is meant to be ahead.
    """
    heard = [row for row in metrics if {"convincing", "critic_features"} & set(row)]
    told = [series(heard, split, "critic_accuracy")[1] for split in ("train", "validation")]
    shares = [mean(values[-max(1, len(values) // 10) :]) for values in told if values]
    if not shares or (config.get("objective") or {}).get("gan_loss") == "wasserstein":
        return ""
    if min(shares) > 0.95:
        return (
            f"The critic is winning: it tells {shares[0]:.0%} rightly, and so teaches little. Let it rest "
            "(--objective.critic.rest_above 0.9), raise its penalty_weight, or make it smaller."
        )
    if max(shares) < 0.55:
        return (
            f"The critic is losing: it tells {shares[0]:.0%} rightly, no better than by chance. Where samples look "
            "poor, make it larger, or lower its penalty_weight."
        )
    return ""


def series(metrics: Sequence[Mapping[str, Any]], split: str, key: str) -> tuple[list[float], list[float]]:
    """Steps and values of one quantity on one split, where it was written down."""
    rows = [row for row in metrics if row.get("split") == split and is_number(row.get("step"))]
    there = [(float(row["step"]), float(row[key])) for row in rows if isinstance(row.get(key), int | float)]
    return [step for step, _ in there], [value for _, value in there]
