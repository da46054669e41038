"""Which figures a report has, in their order: each section is a small function of the story."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reparam.distributions import StructuredCodes
from reparam.errors import MissingExtraError, RefusedError
from reparam.latents import decoded_means, grid, interpolate, project, swap, traverse
from reparam.report.curves import training_curves
from reparam.report.images import animated
from reparam.report.observed import completions, view_for
from reparam.report.plots import bars, scatter_by_class
from reparam.report.story import Figure, NothingToDrawError, Section, Story, figures_of
from reparam.report.subject import Subject
from reparam.report.views import ImageView
from reparam.rng import seeded

_TRAVERSED = 16
_SPAN = 3.0
_WALK_STEPS = 13
_BARS = 64
_FRAMES = 10
_COPIED, _SEARCHED = 64, 12
_SWAPPED, _CONTINUED = 8, 4
_ITEMS = {
    "test": "Test items, which training never saw",
    "validation": "Validation items, by which the weights were chosen",
    "training": "Training items",
}


def draw_sections(
    subject: Subject,
    metrics: Sequence[Mapping[str, Any]],
    film: tuple[list[int], Tensor] | None = None,
    balance: str = "",
) -> list[Section]:
    """Draws every section; one that has nothing to show becomes a sentence that says why.

    Args:
        subject: The model and the data it is shown on.
        metrics: Rows of ``metrics.jsonl``.
        film: Steps of the training, and what the same codes were decoded to there, (S, N, C, H, W).
        balance: Who is winning a game, in a sentence.
    """
    story = Story(subject, view_for(subject.spec, subject.items), metrics, film, balance)
    sections = []
    for name, title, intro, draws in _SECTIONS:
        figures: list[Figure] = []
        notes = []
        for draw in draws:
            try:
                figures += draw(story)
            except (MissingExtraError, RefusedError, NothingToDrawError) as reason:
                notes.append(str(reason))
        sections.append(Section(name, title, intro, tuple(figures), " ".join(notes)))
    return sections


def _reconstructions(story: Story) -> list[Figure]:
    some = slice(_COPIED if story.subject.model.amortized else _SEARCHED)
    model, x = story.subject.model_for(some), story.subject.items[some]
    if model.denoising:
        title = "Originals, corrupted copies and outputs"
        caption = (
            f"Clean {story.subject.split_name} items, the corrupted copies that the model sees, and what it makes of "
            "these copies alone."
        )
        with seeded(story.subject.seed, "report corruption"):
            corrupted = model.corrupt(x)
        rows = [("original", x), ("corrupted", corrupted), ("output", model.reconstruct(corrupted))]
    else:
        title = "Originals and reconstructions"
        caption = f"{_ITEMS[story.subject.split_name]}, and what the model makes of their codes."
        rows = [("original", x), ("reconstruction", model.reconstruct(x))]
    if story.subject.binarized:
        caption += " The originals are shown as the model sees them, made binary."
    rows = [(name, story.ended(shown, some)) for name, shown in rows]
    return figures_of("reconstructions", title, caption, story.view.copies(rows))


def _samples(story: Story) -> list[Figure]:
    subject, noisy = story.subject, story.view.noisy
    n = max(64, len(subject.items)) if noisy else 64
    with seeded(subject.seed, "report samples"):
        like = torch.arange(n) % len(subject.items)
        new = story.ended(subject.model_for(like).sample(n, draw=noisy), like)
    caption = "New items, drawn, not taken from the data: codes z from the prior p(z), then decoded."
    if noisy and subject.density:
        caption += " Noise of p(x|z) is drawn too."
    if subject.told:
        caption += f" The model is told the {' and the '.join(subject.told)} of {subject.split_name} items."
    data = story.ended(subject.items, slice(None))
    return figures_of("samples", "Samples from the prior", caption, story.view.samples(new, data))


def _classes(story: Story) -> list[Figure]:
    """New items of each class, where the model is told the class: the same z in each column."""
    subject = story.subject
    if "labels" not in subject.model.tellable or not subject.spec.classes:
        return []
    names = subject.spec.classes[:_TRAVERSED]
    rows = []
    for number in range(len(names)):
        with seeded(subject.seed, "report classes"):
            rows.append(subject.model.given(labels=torch.tensor(number)).sample(_WALK_STEPS))
    caption = (
        "New items of each class: one row for each class the model is told, one draw of noise for each column. What a "
        "column has in common is what the code says apart from the class."
    )
    if len(names) < len(subject.spec.classes):
        caption += f" The first {len(names)} of {len(subject.spec.classes)} classes are shown."
    columns = [str(column + 1) for column in range(_WALK_STEPS)]
    drawings = story.view.walks(names, torch.stack(rows), columns, "class")
    return figures_of("classes", "Samples of each class", caption, drawings)


def _filmstrip(story: Story) -> list[Figure]:
    """Some steps of the training from top to bottom, the same codes in each column; and all of them as a film."""
    if story.film is None or not story.film[0] or not isinstance(story.view, ImageView):
        return []
    steps, pictures = story.film
    shown = np.unique(np.linspace(0, len(steps) - 1, min(_FRAMES, len(steps))).round().astype(int)).tolist()
    caption = "The same codes, decoded as the training went on."
    drawings = story.view.walks([f"step {steps[i]:,}" for i in shown], pictures[shown], [], "step of the training")
    strip = figures_of("filmstrip", "Samples over the training", caption, drawings)
    title, caption = "The training as a film", f"The same codes at {len(steps):,} steps of the training, without end."
    moving = animated(pictures, low=story.view.low, high=story.view.high)
    return [*strip, Figure("film", title, caption, f"{title}. {caption}", moving)]


def _traversals(story: Story) -> list[Figure]:
    subject = story.subject
    dims = subject.order[:_TRAVERSED]
    codes = subject.scale_codes
    pictures = traverse(
        subject.model_for(0), None if codes is not None else subject.items[0], dims, _SPAN, _WALK_STEPS, codes=codes
    )
    marks = [f"{value:+.3g}" if value else "0" for value in np.linspace(-_SPAN, _SPAN, _WALK_STEPS)]
    held = "the mean code" if codes is not None else f"the code of one {subject.split_name} item"
    unit = " standard deviations of the codes around their mean" if codes is not None else ""
    by = "spread of the codes" if subject.kl is None else "KL in nats, which says how much the dimension is used"
    caption = (
        f"One number of the code moves from {marks[0]} to {marks[-1]}{unit}, all others stay at {held}. "
        f"Sorted by {by}. Dimensions that are not used change nothing."
    )
    if len(dims) < subject.model.latent_dim:
        caption += f" The first {len(dims)} of {subject.model.latent_dim} dimensions are shown."
    drawings = story.view.walks([subject.dim_label(dim) for dim in dims], story.ended(pictures, 0), marks)
    return figures_of("traversals", "What each latent dimension does", caption, drawings)


def _choices(story: Story) -> list[Figure]:
    """Each class of the first choice of a structured code, all else the same in a row."""
    subject, space = story.subject, getattr(story.subject.model, "space", None)
    if not isinstance(space, StructuredCodes):
        return []
    with seeded(subject.seed, "report choices"):
        z = subject.model.p_z().sample(torch.Size([_SWAPPED])).unsqueeze(1).repeat(1, space.classes, 1)
    z[..., : space.classes] = torch.eye(space.classes).to(z)
    caption = (
        "One column for each class of the first choice in the code, one row for each draw of all the rest. Nobody told "
        "the model what the classes are to be."
    )
    names = [f"draw {number + 1}" for number in range(len(z))]
    columns = [str(number) for number in range(space.classes)]
    return figures_of(
        "choices", "Choices", caption, story.view.walks(names, decoded_means(subject.model, z), columns, "draw")
    )


def _swaps(story: Story) -> list[Figure]:
    """Content of some items with the style of others, where the model keeps them apart."""
    subject = story.subject
    if not subject.model.content_dim:
        return []
    columns = subject.items[_one_of_each(subject)]
    others = subject.items[: min(_SWAPPED, len(subject.items))]
    made = swap(subject.model, columns, others)
    caption = (
        f"The top row and the left column are {subject.split_name} items. Between them, each picture has the content "
        "of the item above it and the style of the item to its left: columns should keep the class, rows the manner."
    )
    corner = torch.full_like(columns[:1], float(columns.max()))
    whole = torch.cat([torch.cat([corner, columns])[None], torch.cat([others[:, None], made], 1)])
    names = ["content", *(f"style {number + 1}" for number in range(len(others)))]
    return figures_of(
        "swaps",
        "Content and style, swapped",
        caption,
        story.view.walks(names, whole, ["style", *(str(n + 1) for n in range(len(columns)))], "style"),
    )


def _one_of_each(subject: Subject) -> list[int]:
    """Numbers of up to some items, of as many classes as there are where these are known."""
    labels = subject.item_labels
    if labels is None:
        return list(range(min(_SWAPPED, len(subject.items))))
    first: dict[int, int] = {}
    for number, label in enumerate(labels.tolist()):
        first.setdefault(label, number)
    return [first[label] for label in sorted(first)][:_WALK_STEPS]


def _continuations(story: Story) -> list[Figure]:
    """What may follow the first half of some sequences."""
    subject = story.subject
    going_on = getattr(subject.model, "continued", None)
    if going_on is None:
        return []
    some = torch.arange(min(_CONTINUED, len(subject.items)))
    if "lengths" in subject.told:
        some = subject.told["lengths"].flatten().cpu().argsort(descending=True)[:_CONTINUED]
    x, named = subject.items[some], {name: values[some] for name, values in subject.told.items()}
    steps = int(named["lengths"].min()) if named else x.shape[-1]
    if steps < 2:
        return []
    with seeded(subject.seed, "report continuations"):
        ways = going_on(x, steps // 2, 3, **named)
    caption = (
        f"{subject.split_name.capitalize()} sequences, and three ways in which the model goes on after their first "
        f"{steps // 2} steps."
    )
    rows = [("original", x), *((f"continued {number + 1}", way) for number, way in enumerate(ways))]
    rows = [(name, story.ended(shown, some)) for name, shown in rows]
    return figures_of("continuations", "Continuations", caption, story.view.copies(rows))


def _latent_map(story: Story) -> list[Figure]:
    subject = story.subject
    shown = project(subject.codes, subject.seed)
    how = {
        "identity": "The two latent dimensions as they are.",
        "jitter": "The one latent dimension runs to the right; the height is random and only keeps dots apart.",
        "pca": f"The {subject.codes.shape[1]} dimensions seen along the two principal axes of the codes, which keep "
        f"{shown.explained:.0%} of their variance.",
    }[shown.method]
    labels = None if subject.labels is None else subject.labels.numpy()
    classes = "" if labels is None else " Colours are the classes."
    if labels is not None and not (*subject.model.conditions, *subject.model.observes):
        classes = " Colours are the classes, which the model was not told."
    where = "its code" if subject.model.prior is None else "the mean of q(z|x)"
    caption = f"One dot for each of {len(subject.codes):,} {subject.split_name} items, at {where}. {how}{classes}"
    picture = scatter_by_class(shown.points.numpy(), labels, subject.spec.classes)
    title = f"Latent map of the {subject.split_name} data"
    return [Figure("latent-map", title, caption, f"{title}: a scatter plot. {how}", picture)]


def _decoded_plane(story: Story) -> list[Figure]:
    if story.subject.model.latent_dim != 2:
        return []
    codes = story.subject.scale_codes
    drawings = story.view.plane(grid(story.subject.model_for(0), codes=codes))
    of = "the prior" if codes is None else "the codes"
    caption = f"The whole latent plane, decoded at even quantiles of {of} in each dimension."
    return figures_of("latent-plane", "The decoded latent plane", caption, drawings)


def _interpolations(story: Story) -> list[Figure]:
    subject, items = story.subject, story.subject.items
    pairs = _pairs(subject)
    if not pairs:
        raise NothingToDrawError(
            f"An interpolation needs two {subject.split_name} items, alike in what the model is told; there is one."
        )
    ways = [interpolate(subject.model_for(a), items[a], items[b], steps=10) for a, b in pairs]
    caption = (
        f"On the straight line between the codes of two {subject.split_name} items. In a good latent space each step "
        "looks like data."
    )
    if subject.told:
        caption += f" Both items have the same {' and the same '.join(subject.told)}."
    starts, ends = ([pair[side] for pair in pairs] for side in (0, 1))
    ways = [story.ended(way, a) for way, (a, _) in zip(ways, pairs, strict=True)]
    drawings = story.view.paths(
        story.ended(items[starts], torch.tensor(starts)),
        torch.stack(ways),
        story.ended(items[ends], torch.tensor(ends)),
    )
    return figures_of("interpolations", f"Interpolations between {subject.split_name} items", caption, drawings)


def _pairs(subject: Subject) -> list[tuple[int, int]]:
    """Up to five pairs of items, each item in one of them; in a pair, the model is told the same of both."""
    several = min(5, len(subject.items) // 2)
    if not subject.told:
        return [(number, several + number) for number in range(several)]
    waiting: dict[str, int] = {}
    pairs = []
    for number in range(len(subject.items)):
        key = str([values[number].tolist() for values in subject.told.values()])
        if key in waiting:
            pairs.append((waiting.pop(key), number))
        else:
            waiting[key] = number
    return pairs[:several]


def _kl_bars(story: Story) -> list[Figure]:
    subject = story.subject
    if subject.model.prior is None:
        raise NothingToDrawError("This model has no prior, so there is no KL to it.")
    if subject.kl is None:
        raise NothingToDrawError("The KL of this posterior and prior does not split into one term for each dimension.")
    dims = subject.order[:_BARS]
    active = int(subject.active.sum())
    caption = (
        f"KL(q(z|x) || p(z)) of each latent dimension, averaged over {subject.split_name} items, largest first. "
        f"{active} of {subject.model.latent_dim} dimensions are active: there the mean of q(z|x) varies over the "
        f"{len(subject.codes):,} {subject.split_name} items looked at (variance above 0.01)."
    )
    if len(dims) < len(subject.order):
        caption += f" The first {len(dims)} are shown."
    values = subject.kl[torch.tensor(dims)].numpy()
    names, strong = [f"z{dim}" for dim in dims], [bool(subject.active[dim]) for dim in dims]
    picture = bars(values, names, strong, ("active", "not active"), "KL, nats")
    alt = f"Bar plot of the KL of each latent dimension; the largest is {names[0]} with {values[0]:.2f} nats."
    return [Figure("kl-per-dimension", "KL of each latent dimension", caption, alt, picture)]


_Draw = Callable[[Story], Sequence[Figure]]
_SECTIONS: tuple[tuple[str, str, str, tuple[_Draw, ...]], ...] = (
    (
        "training",
        "Training",
        "How training went. Where the validation curve gets worse while the training curve still gets better, the "
        "model overfits. The first wild steps may run out of the picture.",
        (training_curves,),
    ),
    (
        "reconstructions",
        "Reconstructions",
        "What is left of an item after it went through the code.",
        (_reconstructions, completions),
    ),
    ("samples", "Samples", "What the model makes up on its own.", (_samples, _continuations, _classes, _filmstrip)),
    ("traversals", "Traversals", "What a single number of the code controls.", (_choices, _traversals, _swaps)),
    (
        "latent-space",
        "Latent space",
        "Where the data lie in the code, and whether like lies with like.",
        (_latent_map, _decoded_plane),
    ),
    ("interpolations", "Interpolations", "What lies between two items.", (_interpolations,)),
    ("kl", "KL by dimension", "Which dimensions of the code carry information.", (_kl_bars,)),
)
