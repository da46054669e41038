"""How training went, as curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reparam.report.numbers import is_number, series
from reparam.report.plots import Line, Panel, calm_limits, line_panels, thinned
from reparam.report.story import Figure, NothingToDrawError, Story

_Curve = tuple[str, str, str, str]
_TERMS: tuple[_Curve, ...] = (
    ("distortion", "Distortion", "nats per example", "How badly codes explain x: falls as reconstructions get better."),
    ("rate", "Rate", "nats per example", "How much the codes tell about x: KL(q(z|x) || p(z))."),
    ("learning_rate", "Learning rate", "", "The step size of the optimiser."),
)
_CURVES_OF_GAMES = (
    ("loss", "The model's loss", "", "What the model pushes down, while its opponent moves: it need not fall."),
    (
        "critic_accuracy",
        "Accuracy of the critic",
        "share told rightly",
        "At 0.5 the critic cannot tell made items from real ones; near 1 it tells all, and teaches little.",
    ),
    ("loss_critic", "The critic's loss", "", "What the critic pushes down."),
    (
        "information",
        "Information about the code",
        "nats",
        "How much of its choices and numbers a made item tells; at most the log of the number of classes for a choice.",
    ),
    ("gamma", "How loud reconstructions are", "", "What their likeness is multiplied by, to be as loud as the critic."),
    ("critic_weight", "How loud the critic is", "", "What it is multiplied by, to be as loud as the likelihood."),
    ("convincing", "How convincing", "", "What the critic thinks of made items, as the model maximises it."),
    ("style", "Distance in features", "per feature", "Standard deviation of features between x and reconstruction."),
    (
        "pairs",
        "Distance of pairs",
        "per example",
        "Half squared distances of x and reconstruction, in pixels and features.",
    ),
    ("critic_features", "Means in the critic's features", "", "Half squared distance of real and made items' means."),
    (
        "class_features",
        "Means in the classifier's features",
        "",
        "The same class by class, in the classifier's features.",
    ),
    ("classifier_accuracy", "Accuracy of the classifier", "share", "On real training items."),
    *_TERMS,
)
_BOUNDS = {
    "importance_bound": "Importance-weighted bound",
    "renyi_bound": "R\u00e9nyi bound",
    "filtering_bound": "Filtering bound",
}
_ELBO = "\N{MINUS SIGN}distortion \N{MINUS SIGN} rate"
_LOSS = ("loss", "Loss", "", "What training pushes down.")
_EQUAL = 1e-4  # relative: means of the same single-precision numbers


def _curves(story: Story) -> tuple[_Curve, ...]:
    """Which curves there are, by what the rows say that training pushes up or down."""
    metrics = story.metrics
    if any("critic_accuracy" in row for row in metrics):
        return _CURVES_OF_GAMES
    if story.subject.model.prior is None:
        alone = _ends_alike(metrics, "distortion", 1)
        told = "How badly codes explain x: " + ("what" if alone else "a part of what") + " training pushes down."
        return (*(() if alone else (_LOSS,)), ("distortion", "Reconstruction loss", "per example", told), _TERMS[-1])
    bound = "bound on log p(x)" if story.subject.density else "sum (no bound on log p(x): the distortion is a distance)"
    trained = next((name for name in _BOUNDS if any(name in row for row in metrics)), None)
    if trained:
        pushed = "The bound that training pushes up, and by which the best weights are chosen."
        plain = f"The {bound}, to compare with: {_ELBO}. Training pushes up another one."
        return (
            (trained, _BOUNDS[trained], "nats per example", pushed),
            ("elbo", "ELBO", "nats per example", plain),
            *_TERMS,
        )
    if not any("rate" in row for row in metrics):
        none = "It is no bound on log p(x): codes have no noise, so there is no rate."
        if _last_alike(metrics, "validation", "elbo", "distortion", -1):
            told = f"\N{MINUS SIGN}distortion; the best weights are chosen by it. {none}"
            return (_LOSS, ("elbo", "Objective", "per example", told), *_TERMS)
        told = (
            "\N{MINUS SIGN}distortion, less what the method pays for the shape of its codes; the best weights are "
            f"chosen by it. {none}"
        )
        return (("elbo", "Objective", "per example", told), *_TERMS)
    if _ends_alike(metrics, "elbo", -1):
        return (("elbo", "ELBO", "nats per example", f"The {bound} that training pushes up: {_ELBO}."), *_TERMS)
    told = f"The {bound}, to compare with: {_ELBO}. Training pushes down the loss, which differs from minus this."
    return (_LOSS, ("elbo", "ELBO", "nats per example", told), *_TERMS)


def _ends_alike(metrics: Sequence[Mapping[str, Any]], key: str, sign: int) -> bool:
    """True where the loss is this term at the end, both in training and on the validation split."""
    return all(_last_alike(metrics, split, "loss", key, sign) for split in ("train", "validation"))


def _last_alike(metrics: Sequence[Mapping[str, Any]], split: str, first: str, second: str, sign: int) -> bool:
    """True where one term is the other, but for its sign, in the last row of a split that has both, if there is one."""
    rows = [row for row in metrics if row.get("split") == split and all(is_number(row.get(k)) for k in (first, second))]
    last = rows[-1] if rows else None
    return last is None or math.isclose(last[first], sign * last[second], rel_tol=_EQUAL, abs_tol=_EQUAL)


def training_curves(story: Story) -> list[Figure]:
    """What training pushes up or down, the bound and its terms, and the learning rate.

    Raises:
        NothingToDrawError: if no step was recorded.
    """
    notes = {"critic_accuracy": story.balance}
    if story.subject.model.denoising:
        notes["distortion"] = "Both start from corrupted copies."
    figures = [
        figure
        for key, title, unit, caption in _curves(story)
        if (figure := _curve(story.metrics, key, title, unit, f"{caption} {notes.get(key, '')}".strip()))
    ]
    if not figures:
        raise NothingToDrawError("No training steps were recorded.")
    return figures


def _curve(metrics: Sequence[Mapping[str, Any]], key: str, title: str, unit: str, caption: str) -> Figure | None:
    lines, ends, all_values = [], [], []
    for split, color, marker in (("train", "accent", ""), ("validation", "second", ".")):
        x, y = map(np.asarray, series(metrics, split, key))
        if not np.isfinite(y).any():
            continue
        thin_x, thin_y = thinned(x, y)
        lines.append(Line(thin_y, thin_x, split, color, marker=marker if len(thin_x) <= 40 else ""))
        all_values.append(y)
        ends.append(f"{split} ends at {y[-1]:.4g}")
    if not lines:
        return None
    picture = line_panels([Panel(lines, "", "step", unit, calm_limits(all_values))])
    alt = f"{title} over the training steps: {', '.join(ends)}."
    return Figure(f"curve-{key.replace('_', '-')}", title, caption, alt, picture)
