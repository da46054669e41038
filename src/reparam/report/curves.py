"""How training went, as curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reparam.report.numbers import series
from reparam.report.plots import Line, Panel, calm_limits, line_panels, thinned
from reparam.report.story import Figure, NothingToDrawError, Story

_CURVES = (
    (
        "elbo",
        "ELBO",
        "nats per example",
        "The bound on log p(x) that training pushes up: \N{MINUS SIGN}distortion \N{MINUS SIGN} rate.",
    ),
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
    *_CURVES[1:],
)


_CURVES_WITHOUT_BOUND = (
    ("distortion", "Reconstruction loss", "per example", "How badly codes explain x: what training pushes down."),
    _CURVES[-1],
)


def training_curves(story: Story) -> list[Figure]:
    """The bound and its terms, or what the sides of a game play for, and the learning rate.

    Raises:
        NothingToDrawError: if no step was recorded.
    """
    bounded = story.subject.model.prior is not None
    game = any("critic_accuracy" in row for row in story.metrics)
    wanted = _CURVES_OF_GAMES if game else _CURVES if bounded else _CURVES_WITHOUT_BOUND
    notes = {"critic_accuracy": story.balance}
    if story.subject.model.denoising:
        notes["distortion"] = "Both start from corrupted copies."
    figures = [
        figure
        for key, title, unit, caption in wanted
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
