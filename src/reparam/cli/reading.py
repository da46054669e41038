"""What the data were taken for, in one line, before a training begins."""

from __future__ import annotations

from pathlib import Path

from reparam.cli.console import say
from reparam.data import Data, DataSpec, Observation, Split
from reparam.data.catalogue import is_named
from reparam.data.labels import unknown_labels
from reparam.launch import speaks

FIRST, LONGEST_NAME = 3, 20
FEWEST = 3  # examples that can be divided
SHOWN = 8  # so many columns are named
MANY, SHARE = 20, 10  # classes, and examples of each, below which they are hardly classes
GUESSED = (".npy", ".npz", ".mat", ".parquet")  # arrays, whose axes and values may be other ones


def say_how_read(data: Data) -> None:
    """Says what the data were taken for, and where that was found out, how to say otherwise."""
    if not speaks():
        return
    sizes = ", ".join(f"{len(data.split(name)):,} {name}" for name in ("train", "validation", "test"))
    source = data.origin.get("source", "")
    guessed = [f"--data.{name}" for name in ("axes", "values") if data.origin.get(name) == "auto"]
    guessed = guessed if Path(source).suffix.lower() in GUESSED and not is_named(source) else []
    mend = f"; say what else they are with {' and '.join(guessed)}" if guessed else ""
    if data.spec.observations:
        say(f"{data.spec.name}: {'; '.join(map(observation, data.spec.observations))}: {sizes}")
        return
    say(f"{data.spec.name}: {examples(data.spec)}, {values(data.spec)}{classes(data.spec)}{known(data)}: {sizes}{mend}")
    if isinstance(data.train, Split) and len(data.train) < FEWEST and data.train.stored.equal(data.test.stored):
        say("fewer than three examples serve in all splits: the test items are those that it trains on")
    many = len(data.spec.classes)
    if len(data.spec.shape) == 1 and many > MANY and SHARE * many > len(data.train):
        say(
            f"{many:,} classes are many for {len(data.train):,} rows: if the column is no class, give it another name "
            "than label, class, target, y or group, or, where it is the only text, write it as numbers"
        )


def observation(one: Observation) -> str:
    """What one of several observations is."""
    if one.kind == "classes":
        return f"{one.name}{classes(DataSpec(one.name, one.shape, 'real', classes=one.classes))}"
    spec = DataSpec(one.name, one.shape, one.kind)
    return f"{one.name}: {examples(spec)}, {values(spec)}"


def examples(spec: DataSpec) -> str:
    """What one example is."""
    extent = "x".join(map(str, spec.shape[1:]))
    if len(spec.shape) == 1:
        named = f" ({', '.join(spec.columns)})" if 0 < len(spec.columns) <= SHOWN else ""
        return f"rows of {spec.shape[0]} value{'s' * (spec.shape[0] > 1)}{named}"
    if len(spec.shape) == 2:
        what = f"sequences of at most {extent} steps" if "lengths" in spec.widths else f"signals of {extent} values"
        return f"{what}, channels: {spec.shape[0]}"
    return f"pictures of {extent}, channels: {spec.shape[0]}"


def values(spec: DataSpec) -> str:
    """What the values are."""
    found = {"binary": "0 or 1", "levels": f"{spec.levels} levels", "unit": "in [0, 1]", "real": "real numbers"}
    found["counts"] = "counts"
    made = "" if spec.binarize == "none" else f", made 0 or 1 for this likelihood ({spec.binarize})"
    return found[spec.kind] + made


def classes(spec: DataSpec) -> str:
    """How many classes there are, and the first of them; and how many groups."""
    groups = f", {len(spec.groups):,} groups" if spec.groups else ""
    if not spec.classes:
        return groups
    first = ", ".join(name[:LONGEST_NAME] for name in spec.classes[:FIRST])
    return f", {len(spec.classes):,} classes ({first}{', ...' if len(spec.classes) > FIRST else ''}){groups}"


def known(data: Data) -> str:
    """How many labels are known, where some are not; of streamed data nobody counts them."""
    splits = [split for split in (data.train, data.validation, data.test) if isinstance(split, Split)]
    total = sum(map(len, splits))
    unknown = sum(len(split) if split.labels is None else unknown_labels(split) for split in splits)
    return f", {total - unknown:,} of {total:,} labels known" if data.spec.classes and unknown else ""
