"""How examples of several observations are shown: each observation as it would be alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from reparam.data.spec import DataSpec, Kind, Observation
from reparam.latents import complete
from reparam.report.sketches import SketchView
from reparam.report.story import Figure, Story, figures_of
from reparam.report.views import Drawing, ImageView, View, view_of
from reparam.rng import seeded

_SHOWN, _DRAWS, _WAYS = 12, 32, 3


def spec_of_one(one: Observation, name: str) -> DataSpec:
    """What one observation is by itself; the probabilities of classes are a table of real numbers."""
    columns = one.classes or one.columns
    kind: Kind = "real" if one.kind == "classes" else one.kind
    return DataSpec(name, one.shape, kind, columns=columns, shift=one.shift, scale=one.scale)


class ObservedView:
    """Shows each observation by the view that fits it; what is missing is blank.

    Args:
        spec: What the data are.
        items: Some of them, (n, D).
    """

    def __init__(self, spec: DataSpec, items: Tensor) -> None:
        self.spec = spec
        self.parts: list[tuple[Observation, slice, View]] = []
        for one, place in zip(spec.observations, spec.places.values(), strict=True):
            own = items[:, place].reshape(-1, *one.shape)
            own = own[~own.flatten(1).isnan().any(1)]
            self.parts.append((one, place, view_of(spec_of_one(one, spec.name), own)))

    @property
    def noisy(self) -> bool:
        return any(view.noisy for _, _, view in self.parts)

    def _each(self, draw: Callable[[View, Callable[[Tensor], Tensor]], list[Drawing]]) -> list[Drawing]:
        """The drawings of every observation, named after it."""
        drawings = []
        for one, place, view in self.parts:

            def own(x: Tensor, one: Observation = one, place: slice = place) -> Tensor:
                return x[..., place].nan_to_num(0.0).unflatten(-1, one.shape)

            for drawing in draw(view, own):
                suffix = f"{one.name}-{drawing.suffix}".rstrip("-")
                title = f"{one.name}: {drawing.title}" if drawing.title else one.name
                drawings.append(replace(drawing, suffix=suffix, title=title))
        return drawings

    def copies(self, rows: Sequence[tuple[str, Tensor]]) -> list[Drawing]:
        return self._each(lambda view, own: view.copies([(name, own(x)) for name, x in rows]))

    def samples(self, new: Tensor, data: Tensor) -> list[Drawing]:
        return self._each(lambda view, own: view.samples(own(new), own(data)))

    def walks(self, names: Sequence[str], pictures: Tensor, marks: Sequence[str], of: str = "") -> list[Drawing]:
        return self._each(lambda view, own: view.walks(names, own(pictures), marks, of))

    def paths(self, starts: Tensor, pictures: Tensor, ends: Tensor) -> list[Drawing]:
        return self._each(lambda view, own: view.paths(own(starts), own(pictures), own(ends)))

    def plane(self, pictures: Tensor) -> list[Drawing]:
        return self._each(lambda view, own: view.plane(own(pictures)))


def view_for(spec: DataSpec, items: Tensor) -> View:
    """The view that fits the data: of several observations, or of one."""
    if spec.observations:
        return ObservedView(spec, items)
    return SketchView() if spec.drawn else view_of(spec, items)


def completions(story: Story) -> list[Figure]:
    """Each observation of some items, told from the others."""
    subject, view, figures = story.subject, story.view, []
    if not isinstance(view, ObservedView):
        return []
    for one, place, own_view in view.parts:
        hidden = subject.items.clone()
        hidden[:, place] = torch.nan
        fit = (~subject.items[:, place].isnan().any(1) & ~hidden.isnan().all(1)).nonzero().flatten()[:_SHOWN]
        if not len(fit):
            continue
        with seeded(subject.seed, "report completions"):
            found = complete(subject.model, hidden[fit], _DRAWS)

        def own(x: Tensor, one: Observation = one, place: slice = place) -> Tensor:
            return x[:, place].unflatten(-1, one.shape)

        rows = [("original", own(subject.items[fit]))]
        rows += [(f"completion {number + 1}", own(draw)) for number, draw in enumerate(found.draws[:_WAYS])]
        if isinstance(own_view, ImageView):
            rows.append(("uncertainty", own(found.std)))
        rows.append(("mean", own(found.mean)))
        caption = (
            f"{one.name} of {subject.split_name} items, hidden and told from {_others(view, one)}: completions are "
            f"decoded from single codes, the mean is that of {_DRAWS}."
        )
        figures += figures_of(f"completions-{one.name}", f"{one.name}, completed", caption, own_view.copies(rows))
    return figures


def _others(view: ObservedView, one: Observation) -> str:
    return " and ".join(other.name for other, _, _ in view.parts if other.name != one.name)
