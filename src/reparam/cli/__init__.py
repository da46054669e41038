"""The ``reparam`` command: one file per verb, each of which reads its words, calls the package, and prints.

Verbs are registered as import strings and load torch when they run, so ``reparam --help`` and ``reparam VERB --help``
cost next to nothing, and a misspelt word is answered at once.
"""

from __future__ import annotations

import os
import shlex
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from typing import NoReturn

from cyclopts import App

from reparam.cli.console import COMMAND, complain
from reparam.cli.failures import Failure, failure_of, interrupts
from reparam.cli.settings import gathered
from reparam.launch import speaks
from reparam.trust import trusting

VERBS = (
    (
        "train",
        "Train a recipe on data, judge the model, and write a report.",
        "reparam train vae --data mnist --max-minutes 10 --model.latent_dim 16 --out runs/first",
    ),
    ("resume", "Go on with a run that was stopped, or give it more epochs.", "reparam resume runs/first --epochs 400"),
    (
        "evaluate",
        "Judge a model: log p(x), ELBO and its terms, reconstruction errors.",
        "reparam evaluate runs/first --metrics nll,elbo --samples 5000 --limit 1000",
    ),
    (
        "score",
        "Estimate log p(x) of each item, outliers first.",
        "reparam score runs/first digits --samples 500 --out scores.csv",
    ),
    (
        "sample",
        "Make new items: z from the prior p(z) or from a sampler, then p(x|z).",
        "reparam sample runs/first -n 64 --out samples.png",
    ),
    ("encode", "Write the codes of items: means and scales of q(z|x).", "reparam encode runs/first digits --out z.npz"),
    (
        "reconstruct",
        "Pass items through the code and back, and show both.",
        "reparam reconstruct runs/first digits --out reconstructions.png",
    ),
    (
        "interpolate",
        "Turn one item into another along a path between their codes.",
        "reparam interpolate runs/first 3 class:7 --steps 10 --path spherical",
    ),
    ("traverse", "Move one latent dimension at a time.", "reparam traverse runs/first --item 3 --dims 0,4,7"),
    (
        "classify",
        "Tell the class of items by Bayes' rule, with a model that is told classes.",
        "reparam classify runs/cvae digits --out classes.csv",
    ),
    (
        "restore",
        "Tell what is missing of items from what is there, with a model of several observations or of sequences.",
        "reparam restore runs/views mfeat --hide pix --out restored.npz",
    ),
    ("report", "Write the report of a run again.", "reparam report runs/first"),
    ("compare", "Put runs side by side in one table.", "reparam compare runs/first runs/second"),
    ("list", "List recipes, data, metrics, parts or samplers.", "reparam list recipes"),
    ("doctor", "Say what this machine has, and what is missing.", "reparam doctor"),
)

app = App(
    name="reparam",
    help="Train, judge and use variational autoencoders.",
    help_epilogue="Start with `reparam train`: it trains on handwritten digits that come with the package.",
    version=lambda: version("reparam"),
    help_format="markdown",
    suppress_keyboard_interrupt=False,
)
for _order, (_verb, _about, _example) in enumerate(VERBS):
    app.command(
        f"reparam.cli.{_verb}:{_verb}",
        name=_verb,
        help=_about,
        help_epilogue=f"Example: `{_example}`",
        sort_key=_order,
    )


def run(argv: Sequence[str]) -> int:
    """Does what the words say and returns the exit code.

    Whatever goes wrong becomes one sentence on standard error; ``--debug`` shows the traceback before it.
    """
    COMMAND.set(shlex.join(["reparam", *argv]))
    try:
        with interrupts(), warnings.catch_warnings(), _code_of(argv):
            warnings.showwarning = _warn
            tokens = gathered(argv)
            app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
            sys.stdout.flush()
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except BrokenPipeError:
        # Whoever read our output has enough. What is still buffered must not raise again when Python exits.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Exception, KeyboardInterrupt) as error:
        return _failed(failure_of(error, app), error if "--debug" in argv else None)
    return 0


@contextmanager
def _code_of(argv: Sequence[str]) -> Iterator[None]:
    """Where ``--trust-code`` says so, classes may be imported, also of modules in the current folder."""
    words = [word.replace("_", "-").lower() for word in argv]
    trusted = bool({"--trust-code", "--trust-code=true"} & {*words})
    if trusted and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    with trusting(trusted):
        yield


def _warn(message: Warning | str, *place: object, **more: object) -> None:
    """A warning as one line, without the place in our source that gave it."""
    complain(str(message))


def _failed(failure: Failure, shown: BaseException | None) -> int:
    if speaks() or shown is not None:  # of several processes, one tells what all of them met
        complain(failure.sentence, shown)
    return failure.exit_code


def main() -> NoReturn:
    """The entry point: runs the words of the command line and leaves with the exit code."""
    sys.exit(run(sys.argv[1:]))


__all__ = ["VERBS", "app", "main", "run"]
