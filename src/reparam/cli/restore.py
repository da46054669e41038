"""``reparam restore``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from reparam.cli.console import print_json, print_line
from reparam.cli.options import (
    REPORTING,
    MaybeWhole,
    OutPath,
    Reports,
    RunPath,
    Source,
    SplitName,
    require_positive,
    words_in,
)
from reparam.errors import ConfigError

COMPLETIONS, CONTINUATIONS, SHOWN = 32, 5, 3


def restore(
    run: RunPath,
    source: Source,
    /,
    *,
    hide: str | None = None,
    seen: MaybeWhole = None,
    length: MaybeWhole = None,
    split: SplitName = "all",
    draws: Annotated[MaybeWhole, Parameter(name="--draws")] = None,
    n: Annotated[MaybeWhole, Parameter(name="-n")] = None,
    out: OutPath = None,
    common: Reports = REPORTING,
) -> None:
    """Tells what is missing of items from what is there: observations of a model of several, the end of sequences.

    Args:
        run: A run folder, or a model folder.
        source: A data name, or a path.
        hide: Observations to hide first, such as depth,labels; what is
            missing anyway is told too.
        seen: Of sequences, how many first steps are given; the model goes on from there. Those that end before are left
            as they are.
        length: How many steps continued sequences have, for a model of sequences of several lengths; as long as they
            were where nothing is given.
        draws: Codes drawn for each item; their means are the completions. Or continuations drawn of each sequence. 32
            where nothing is given, of sequences 5.
        n: How many sequences a picture or music has, chosen at random among those that go on, 3 where nothing is given;
            arrays hold all.
        out: F.npz: for each observation its mean (NAME), how sure it is
            (NAME_std) and the completions (NAME_draws); restored.npz in the
            run folder where nothing is given. Of sequences the same of x, and their lengths; or a picture F.png, or
            music F.mid with one continuation after the other.
    """
    from reparam.cli.files import item_file, require_ending, write_arrays
    from reparam.cli.items import hidden, read_split, restored
    from reparam.cli.pictures import write_continuations
    from reparam.cli.sequences import continued, steps_given
    from reparam.runs import open_run

    _require_alike(hide, seen, length, draws, n)
    opened = open_run(run, common.device)
    if seen is None:
        path = run / "restored.npz" if out is None else out
        require_ending(path, (".npz",))
        names = words_in(hide, "--hide") if hide is not None else []
        items = hidden(read_split(opened, source, common.draws, split), names)
        arrays, missing = restored(opened.model, items, draws or COMPLETIONS, common.draws)
        write_arrays(path, arrays)
    else:
        steps_given(opened, seen, length)
        path = item_file(out, run, "restored", opened.spec, endings=(".npz", ".png"), heard=True)
        items = read_split(opened, source, common.draws, split)
        most = None if path.suffix.lower() == ".npz" else n or SHOWN
        found = continued(opened.model, items, seen, length, draws or CONTINUATIONS, common.draws, most)
        write_continuations(path, found, items.spec)
        missing = {"x": len(found.going)}
    if common.json:
        print_json({"run": run, "source": source, "split": split, "n": len(items), "missing": missing, "out": path})
    else:
        told = ", ".join(f"{name} of {count:,}" for name, count in missing.items() if count) or "nothing"
        done = f"restored: {told}" if seen is None else f"{len(found.going):,} of them continued"
        print_line(f"{len(items):,} items, {done}: {path}")


def _require_alike(hide: str | None, seen: int | None, length: int | None, draws: int | None, n: int | None) -> None:
    """Checks that the options are numbers above 0, and all of observations or all of sequences.

    Raises:
        ConfigError: if they are not.
    """
    for option, value in (("--draws", draws), ("-n", n)):
        if value is not None:
            require_positive(option, value)
    if seen is None and (n is not None or length is not None):
        raise ConfigError("-n and --length are of sequences to be continued. Say how many steps are given: --seen 20.")
    if seen is not None and hide is not None:
        raise ConfigError(f"--hide {hide} is of several observations, --seen {seen} of sequences. Leave one out.")
