"""Named arrays -> splits: which array is x, which are the labels, and of which split."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from reparam.data.limits import some
from reparam.data.raw import SPLITS, Array, Part, Raw
from reparam.errors import DataError

SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
X_WORDS = {"x", "data", "image", "images", "img", "pixels", "pixel_values", "samples", "features"}
LABEL_WORDS = {"y", "label", "labels", "class", "target", "targets"}
GROUP_WORDS = {"group", "groups"}
FACTOR_WORDS = {"factor", "factors"}
ATTRIBUTE_WORDS = {"attribute", "attributes", "attrs", "condition", "conditions"}
LENGTH_WORDS = {"length", "lengths"}
CLASS_WORDS = {"classes", "classnames", "class_names", "label_names"}

Role = tuple[str, str]


def role_of(key: str) -> Role | None:
    """What a key names: ``x_train`` -> ("train", "x"), ``labels`` -> ("all", "labels"), ``notes`` -> None."""
    words = [word for word in re.split(r"[^a-z0-9]+", key.lower()) if word]
    named = [word for word in words if word in SPLIT_WORDS]
    rest = "_".join(word for word in words if word not in SPLIT_WORDS)
    if len(named) > 1:
        return None
    split = SPLIT_WORDS[named[0]] if named else "all"
    if rest in X_WORDS or (named and not rest):
        return split, "x"
    if rest in LABEL_WORDS:
        return split, "labels"
    if rest in GROUP_WORDS:
        return split, "groups"
    if rest in FACTOR_WORDS:
        return split, "factors"
    if rest in ATTRIBUTE_WORDS:
        return split, "attributes"
    if rest in LENGTH_WORDS:
        return split, "lengths"
    return ("all", "classes") if rest in CLASS_WORDS and not named else None


def grouped(found: Mapping[Role, Any]) -> dict[Role, Any]:
    """The same, with groups as labels where there are no others."""
    labelled = any(role == "labels" for _, role in found)
    return {(split, "labels" if role == "groups" and not labelled else role): v for (split, role), v in found.items()}


def roles(name: str, keys: Iterable[str]) -> dict[Role, str]:
    """Which key plays which role; a single key of any name is x.

    Raises:
        DataError: if two keys play the same role, or none is x.
    """
    keys = list(keys)
    found: dict[Role, str] = {}
    for key in keys:
        role = role_of(key)
        if role is not None and role in found:
            raise DataError(
                f"{name} has both {some([found[role]])} and {some([key])}, which mean the same. Remove one of them."
            )
        if role is not None:
            found[role] = key
    if not any(role == "x" for _, role in found):
        if len(keys) != 1:
            raise DataError(
                f"{name} has {some(keys) or 'no arrays'}; expected 'x' (and 'y'), or 'x_train', "
                "'x_validation', 'x_test' (and 'y_train', ...). Rename the arrays."
            )
        found = {("all", "x"): keys[0]}
    return grouped(found)


def parts_of(name: str, found: Mapping[Role, Array]) -> dict[str, Part]:
    """The parts that the roles describe.

    Raises:
        DataError: if there are splits and a whole, or labels, groups, factors, attributes or lengths without examples.
    """
    splits = [split for split, role in found if role == "x"]
    if "all" in splits and len(splits) > 1:
        raise DataError(
            f"{name} has both x and x_{splits[1 - splits.index('all')]}. Keep either the whole or the splits."
        )
    orphans = [(split, role) for split, role in found if role != "x" and split not in splits]
    if orphans:
        split, role = orphans[0]
        raise DataError(f"{name} has {role} of {split!r} but no examples of it. Add them or remove the {role}.")
    return {
        split: Part(
            found[split, "x"],
            found.get((split, "labels")),
            found.get((split, "factors")),
            found.get((split, "attributes")),
            found.get((split, "lengths")),
            groups=found.get((split, "groups")),
        )
        for split in ("all", *SPLITS)
        if split in splits
    }


def observed(name: str, keys: Iterable[str], wanted: tuple[str, ...]) -> dict[Role, str]:
    """Which key holds which observation of which split: ``depth`` and ``depth_train`` hold ``depth``.

    Raises:
        DataError: if two keys hold the same.
    """
    found: dict[Role, str] = {}
    for key in keys:
        words = [word for word in re.split(r"[^a-z0-9]+", key.lower()) if word]
        split = SPLIT_WORDS.get(words[-1]) if len(words) > 1 else None
        bare = key[: -len(words[-1]) - 1] if split else key
        own = next((one for one in wanted if one in (key, bare)), None)
        if own is None:
            continue
        role = ("all" if own == key or split is None else split, own)
        if role in found:
            raise DataError(f"{name} has both {some([found[role]])} and {some([key])}. Remove one of them.")
        found[role] = key
    return found


def needed(name: str, keys: Iterable[str], wanted: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The keys that are read: those that play a role, and those of observations that are asked for.

    Raises:
        DataError: as in :func:`roles`.
    """
    keys = list(keys)
    own = observed(name, keys, wanted)
    try:
        played = roles(name, keys)
    except DataError:
        if not own:
            raise
        played = {}
    found = tuple(dict.fromkeys([*played.values(), *own.values()]))
    unused = [key for key in keys if key not in found]
    if unused and not wanted:  # who asks for observations has chosen
        warnings.warn(
            f"{name}: {some(unused)} {'is' if len(unused) == 1 else 'are'} left out. What is read is called x, labels, "
            "groups, attributes, factors or lengths, or is an observation that is asked for.",
            stacklevel=3,
        )
    return found


def by_role(name: str, arrays: Mapping[str, Array], wanted: tuple[str, ...] = ()) -> Raw:
    """Makes a source of named arrays, as in an .npz or .mat file or a dict; arrays without a role are left out.

    Args:
        name: What messages call it.
        arrays: The arrays.
        wanted: Names of observations, which are kept beside the roles; without an x, the first of them is x.
    """
    own = observed(name, arrays, wanted)
    called = "x"
    played = grouped({role: key for key in arrays if (role := role_of(key)) is not None})
    if wanted and not any(role == "x" for _, role in played):
        called = next((one for one in wanted if any(role == one for _, role in own)), "x")
        found = {role: arrays[key] for role, key in played.items()}
        found |= {(split, "x"): arrays[key] for (split, role), key in own.items() if role == called}
    else:
        found = {role: arrays[key] for role, key in roles(name, arrays).items()}
    classes = found.pop(("all", "classes"), None)
    names = tuple(str(value) for value in classes.ravel()) if classes is not None else ()
    parts = parts_of(name, found)
    for split in parts:
        others = {role: arrays[key] for (of, role), key in own.items() if of == split and role != called}
        parts[split] = replace(parts[split], others=others)
    return Raw(name, parts, classes=names, called=called)
