"""How a training ended: which weights are kept, and whether it made the model worse."""

from collections.abc import Sequence

from reparam.training.faults import gentler
from reparam.training.log import Row
from reparam.training.settings import TrainSettings

NATS, SHARE = 1.0, 0.05
UNTRAINED = 100


def kept_row(metrics: Sequence[Row], judged_by: str | None) -> Row | None:
    """The validation whose weights are kept: the first of the best ones; None where no term says which are best."""
    judged = _rows(metrics, "validation", judged_by)
    return max(judged, key=lambda row: float(row[judged_by])) if judged_by and judged else None


def ending(metrics: Sequence[Row], judged_by: str | None, settings: TrainSettings, steady: bool = True) -> str:
    r"""What to know of a training that made the model worse, in two sentences; else nothing.

    Worse is by more than 1 nat and 5 % of what it was, and by two terms at once, since either alone may fall for good
    reasons:

    - from the first validation to the last, by the term that the model is judged by and by the loss at the
      objective's final weights: a warm-up, or a KL that weighs more or less, trades one for the other;
    - from the first of the first hundred steps, where hardly anything is learnt, to the last validation, by that term
      and by the distortion.

    Args:
        metrics: Rows of metrics.jsonl.
        judged_by: The term by which the best weights are chosen; None, as in games, where there is none.
        settings: How it was trained.
        steady: False where the loss changes its meaning as critics or multipliers move: it is not compared then.
    """
    judged, best = _rows(metrics, "validation", judged_by), kept_row(metrics, judged_by)
    learnt = _rows(metrics, "train", judged_by)
    if judged_by is None or best is None or not learnt:
        return ""
    first, last, begun = judged[0], judged[-1], learnt[0]
    if begun["step"] <= UNTRAINED and _worse(begun, last, judged_by, "distortion"):
        before = begun
    elif steady and _worse(first, last, judged_by, "loss"):
        before = first
    else:
        return ""
    name = "ELBO" if judged_by == "elbo" else judged_by.replace("_", " ")
    split = "validation" if before is first else "training"
    said = (
        f"This training made the model worse: the validation {name} is {last[judged_by]:,.4g} at its end, and the "
        f"{split} {name} was {before[judged_by]:,.4g} at step {before['step']:,}. "
    )
    fitted = max(row[judged_by] for row in learnt if row["step"] <= first["step"]) if before is first else None
    worst = min(judged, key=lambda row: float(row[judged_by]))
    if fitted is not None and learnt[-1][judged_by] > fitted:
        way = "The training split went on improving, so it was overfitted: train for fewer epochs, or on more data."
    elif _worse(last, worst, judged_by, "distortion"):
        way = (
            f"It has been getting better since step {worst['step']:,}: train afresh with the settings that it has now."
        )
    else:
        way = f"Train again with a smaller step: --train.learning_rate {gentler(settings, 10)['learning_rate']}."
    return f"{said}The weights of step {best['step']:,} are kept ({name} {best[judged_by]:,.4g}). {way}"


def unbeaten(metrics: Sequence[Row], judged_by: str | None, since: int) -> str:
    """Says that the weights of before a step are still kept, where no later validation beat theirs; else nothing.

    Args:
        metrics: Rows of metrics.jsonl.
        judged_by: The term by which the best weights are chosen; None where there is none.
        since: The step that a training went on from.
    """
    best = kept_row(metrics, judged_by)
    later = any(row["step"] > since for row in _rows(metrics, "validation", judged_by))
    if best is None or best["step"] > since or not later:
        return ""
    return f"No validation since step {since:,} was better: the weights of step {best['step']:,} are still kept."


def _rows(metrics: Sequence[Row], split: str, name: str | None) -> list[Row]:
    """The rows of a split that have a term."""
    return [row for row in metrics if row["split"] == split and name in row]


def _worse(then: Row, now: Row, judged_by: str, cost: str) -> bool:
    """True where both the term that is to grow and the cost are worse, by more than any noise."""
    pairs = [(-then[judged_by], -now[judged_by]), (then.get(cost), now.get(cost))]
    return all(a is not None and b is not None and b - a > NATS + SHARE * abs(a) for a, b in pairs)
