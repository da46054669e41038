"""What holds for every part of every seam: it says what it is, and can be rebuilt from that."""

import inspect
import json
from typing import Any

import pytest
import torch

from reparam.composing import describe, rebuild
from reparam.rng import reseed
from tests.contracts.members import Settings, every_part, make, seeded_

PARTS = [pytest.param(*part, id="-".join([*part[:2], *map(str, part[2].values())])) for part in every_part()]


def plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else value


@pytest.mark.parametrize(("section", "kind", "settings"), PARTS)
def test_repr_names_the_class(section: str, kind: str, settings: Settings) -> None:
    part = make(section, kind, settings)
    assert type(part).__name__ in repr(part)


@pytest.mark.parametrize(("section", "kind", "settings"), PARTS)
def test_keeps_its_arguments(section: str, kind: str, settings: Settings) -> None:
    part = make(section, kind, settings)
    for name in inspect.signature(type(part)).parameters:
        assert hasattr(part, name)
    # the number of channels each block has is resolved where one number was given for all
    kept = {name: getattr(part, name) for name in settings if name != "blocks"}
    assert {name: plain(value) for name, value in kept.items()} == {name: settings[name] for name in kept}


@pytest.mark.parametrize(("section", "kind", "settings"), PARTS)
def test_is_rebuilt_from_its_description(section: str, kind: str, settings: Settings) -> None:
    part = seeded_(make(section, kind, settings))
    described = describe(part, section)
    again = rebuild(json.loads(json.dumps(described)), section)
    again.load_state_dict(part.state_dict())
    assert type(again) is type(part)
    assert describe(again, section) == described
    assert repr(again) == repr(part)


@pytest.mark.parametrize(("section", "kind", "settings"), PARTS)
def test_building_draws_only_weights(section: str, kind: str, settings: Settings) -> None:
    """A seed before building fixes the part; a part without weights draws nothing."""
    reseed(1)
    first, after = make(section, kind, settings), torch.get_rng_state()
    reseed(1)
    if not list(first.parameters()):
        assert torch.equal(torch.get_rng_state(), after)
    second = make(section, kind, settings)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
