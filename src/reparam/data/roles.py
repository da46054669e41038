"""Named arrays -> splits: which array is x, which are the labels, and of which split."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

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
    if rest in FACTOR_WORDS:
        return split, "factors"
    if rest in ATTRIBUTE_WORDS:
        return split, "attributes"
    if rest in LENGTH_WORDS:
        return split, "lengths"
    return ("all", "classes") if rest in CLASS_WORDS and not named else None


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
    return found


def parts_of(name: str, found: Mapping[Role, Array]) -> dict[str, Part]:
    """The parts that the roles describe.

    Raises:
        DataError: if there are splits and a whole, or labels, factors, attributes or lengths without examples.
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
            found[split, "x"], *(found.get((split, role)) for role in ("labels", "factors", "attributes", "lengths"))
        )
        for split in ("all", *SPLITS)
        if split in splits
    }


def by_role(name: str, arrays: Mapping[str, Array]) -> Raw:
    """Makes a source of named arrays, as in an .npz or .mat file or a dict; arrays without a role are left out."""
    found = {role: arrays[key] for role, key in roles(name, arrays).items()}
    classes = found.pop(("all", "classes"), None)
    names = tuple(str(value) for value in classes.ravel()) if classes is not None else ()
    return Raw(name, parts_of(name, found), classes=names)
