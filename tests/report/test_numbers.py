"""The table of headline numbers, and the table that compares runs."""

import json
from typing import Any

import pytest

from reparam.report import compare_rows, compare_table
from reparam.report.measured import BESIDE, COMPARED, MEASURED
from reparam.report.numbers import balance, duration, headline_numbers, notes, refusals, series, with_error
from tests.report.fakes import evaluation_of

MINUS = "\N{MINUS SIGN}"
FIDS = [("a", 5.0, "conv"), ("b", 4.0, "conv"), ("c", 1.0, "random")]


@pytest.mark.parametrize(
    ("accuracy", "said"), [(0.99, "The critic is winning: it tells 99%"), (0.5, "The critic is losing"), (0.8, "")]
)
def test_an_unbalanced_game_is_reported(accuracy: float, said: str) -> None:
    each = [0.7] * 90 + [accuracy] * 10
    rows = [
        {"split": "train", "step": step, "critic_accuracy": one, "convincing": 0.0} for step, one in enumerate(each)
    ]
    config = {"objective": {"kind": "gan", "gan_loss": "hinge"}}
    assert balance(rows, config).startswith(said)
    assert bool(balance(rows, config)) == bool(said)
    assert balance([], config) == ""
    otherwise = [row | {"split": "validation", "critic_accuracy": 0.8} for row in rows]
    assert balance(rows + otherwise, config) == ""  # the examples that it was not trained on say something else
    assert balance(rows, {"objective": {"gan_loss": "wasserstein"}}) == ""  # there a critic is meant to be ahead
    unheard = [{name: value for name, value in row.items() if name != "convincing"} for row in rows]
    assert balance(unheard, config) == ""


def test_log_p_x_comes_first_with_its_error_samples_and_effective_size() -> None:
    first, *others = headline_numbers(evaluation_of())
    assert first.name == "log p(x)"
    assert first.value == f"{MINUS}91.23 ± 0.42"
    assert first.unit == "nats per example"
    assert "S = 500" in first.meaning
    assert "33.3" in first.meaning
    names = [row.name for row in others]
    assert names == ["ELBO", "Distortion", "Rate", "Active units", "Mean squared error", "PSNR", "SSIM"]
    assert all(row.unit and row.meaning for row in others)


def test_log_p_x_of_draws_that_hardly_count_is_called_a_lower_bound() -> None:
    first, *_ = headline_numbers(evaluation_of() | {"nll_ess": 3.2, "nll_mc_stderr": 0.123})
    assert first.name == "log p(x), at least"
    assert "a loose lower bound, whose error is larger than stated (that of the draws is 0.12)" in first.meaning
    one_draw = evaluation_of() | {"nll_ess": 1.0, "nll_samples": 1, "noiseless": True}
    assert headline_numbers(one_draw)[0].name == "log p(x)"


def test_what_the_model_was_told_is_said() -> None:
    first, *_ = headline_numbers(evaluation_of() | {"told": ["labels"]})
    assert first.name == "log p(x|c)"
    assert "is told labels (c) of each example" in first.meaning


def test_missing_keys_leave_their_rows_out() -> None:
    assert headline_numbers({}) == []
    (row,) = headline_numbers({"split": "test", "n": 3, "mse": 0.5, "kl_per_dim": [1.0], "nll_refused": "no"})
    assert (row.name, row.value) == ("Mean squared error", "0.5")
    (row,) = headline_numbers({"nll": 5.0})
    assert row.value == f"{MINUS}5.00"
    assert "S =" not in row.meaning


def test_without_a_bound_the_distortion_is_called_a_loss_and_not_nats() -> None:
    (row,) = headline_numbers({"distortion": 0.188})
    assert (row.name, row.value, row.unit) == ("Reconstruction loss", "0.188", "per example")


def test_unknown_numbers_are_shown_under_their_key_and_nothing_else_is() -> None:
    evaluation = {
        "novelty": 12.5,
        "network": "inception",
        "elbo": float("nan"),
        "flag": True,
        "seed": 3,
        "nll_mc_stderr": 1.0,
    }
    assert [(row.name, row.value) for row in headline_numbers(evaluation)] == [("novelty", "12.5")]


def test_what_must_be_known_to_read_a_number_stands_beside_it() -> None:
    found = {"nll": 5.0, "nll_note": "Read this.", "elbo": -6.0, "elbo_note": "Read this.", "rate": 1.0}
    said = {row.name: row.meaning.endswith("Read this.") for row in headline_numbers(found)}
    assert said == {"log p(x)": True, "ELBO": True, "Rate": False}
    assert notes(found) == ["Read this."]
    rows = [{"run": name, "nll": nll} for name, nll in (("a", 5.0), ("b", 4.0), ("c", 3.0))]
    rows[2]["nll_note"] = "Read this."
    assert [row["best"] for row in compare_rows(rows)] == [[], ["nll"], []]


def test_distances_say_in_which_features() -> None:
    found = {"fid": 12.5, "fid_n": 1000, "feature_network": "conv-64 random", "mig": 0.25, "mig_per_factor": [0.25]}
    fid, mig = headline_numbers(found)
    assert (fid.name, fid.value) == ("FID", "12.5")
    assert fid.meaning.endswith("Features: conv-64 random.")
    assert (mig.name, mig.value, mig.unit) == ("MIG", "0.25", "0 to 1")
    assert "Features" not in mig.meaning


def test_one_draw_is_called_enough_only_where_codes_have_no_noise() -> None:
    for noiseless, said in ((True, "all there is where codes have no noise"), (False, "S = 1 sample for each")):
        assert said in headline_numbers({"nll": 5.0, "nll_samples": 1, "noiseless": noiseless})[0].meaning


def test_networks_and_draws_are_named() -> None:
    found = {"perceptual_distance": 0.5, "perceptual_network": "squeeze", "kid": 0.1, "samples": "draws"}
    kid, distance = sorted(headline_numbers(found), key=lambda row: row.name)
    assert distance.meaning.endswith("Features: squeeze.")
    assert kid.meaning.endswith("Samples: draws of p(x|z).")


def test_numbers_by_samplers_have_rows() -> None:
    found = {"mse": 0.5, "samplers": {"gmm": {"n": 9, "sampler": "gmm", "fid": 12.5, "mse": 0.5}}}
    assert [(row.name, row.value) for row in headline_numbers(found)][1:] == [("FID, by gmm", "12.5")]


def test_numbers_by_another_seed_say_so() -> None:
    found = {"n": 9, "seed": 1, "mse": 0.5, "subsets": {"9 items, seed 0": {"n": 9, "seed": 0, "fid": 12.5}}}
    assert headline_numbers(found)[1].meaning.endswith("Measured with seed 0.")


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (91.234, 0.42, "91.23 ± 0.42"),
        (0.12345, 0.00123, "0.1235 ± 0.0012"),
        (5.0, 0.0996, "5.00 ± 0.10"),
        (1234.5, 12.3, "1,234 ± 12"),
        (1234.5, 123.0, "1,230 ± 120"),
        (5.0, 0.0, "5.00 ± 0"),
    ],
)
def test_errors_have_two_digits(value: float, error: float, text: str) -> None:
    assert with_error(value, error) == text


def test_refusals_are_named() -> None:
    found = {"nll_refused": "no density", "factor_vae_refused": "one factor", "mig": 0.5}
    assert refusals(found) == {"nll": "no density", "factor_vae": "one factor"}


def test_every_number_of_a_metric_has_a_meaning() -> None:
    assert all(all(words) for words in MEASURED.values())
    assert MEASURED.keys() >= COMPARED
    assert not BESIDE & MEASURED.keys()


def test_errors_and_other_sample_sizes_are_told() -> None:
    rows = headline_numbers({"n": 100, "nll": 5.0, "nll_n": 20, "elbo": -6.0, "elbo_stderr": 0.25})
    assert "Measured on 20 examples" in rows[0].meaning
    assert rows[1].value == f"{MINUS}6.00 ± 0.25"


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.21, "4.2 s"), (41, "41 s"), (598, "9 min 58 s"), (7500, "2 h 5 min"), (59.9, "1 min 0 s")]
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_series_take_one_quantity_of_one_split() -> None:
    metrics = [
        {"step": 1, "split": "train", "elbo": -5},
        {"step": 1, "split": "validation", "elbo": -6.0},
        {"step": 2, "split": "train"},
        {"split": "train", "elbo": 3.0},
    ]
    assert series(metrics, "train", "elbo") == ([1.0], [-5.0])


def runs() -> list[dict[str, Any]]:
    common = {"recipe": "vae", "data": "mnist", "split": "test"}
    return [
        common | {"run": "runs/a", "parameters": 1234567, "epochs": 10, "nll": 90.0, "nll_stderr": 0.4, "mse": 0.02},
        common | {"run": "runs/b", "parameters": 1000, "epochs": 2.5, "nll": 86.5, "elbo": -88.0, "mse": 0.03},
        {"run": "runs/c", "data": "digits", "nll": 20.0, "rate": 3.0, "extra": object()},
    ]


def test_the_best_run_on_the_same_data_is_marked() -> None:
    a, b, c = compare_rows(runs())
    assert a["best"] == ["mse"]
    assert b["best"] == ["nll"]
    assert c["best"] == []


def test_numbers_on_different_splits_do_not_compete() -> None:
    a, b, _ = runs()
    assert [row["best"] for row in compare_rows([a, b | {"split": "train"}])] == [[], []]


def test_distances_in_different_features_do_not_compete() -> None:
    rows = [{"run": name, "data": "mnist", "fid": fid, "feature_network": net} for name, fid, net in FIDS]
    assert [row["best"] for row in compare_rows(rows)] == [[], ["fid"], []]


def test_other_measures_do_not_compete() -> None:
    rows = [{"run": "a", "data": "mnist", "fid": 9.0, "samples": "means", "mse": 0.5}]
    rows.append(rows[0] | {"run": "b", "fid": 8.0, "samples": "draws", "mse": 0.4, "mse_corrupted": 0.6})
    assert [row["best"] for row in compare_rows(rows)] == [[], []]
    rows.append(rows[1] | {"run": "c", "fid": 7.0, "mse": 0.3})
    assert [row["best"] for row in compare_rows(rows)] == [[], [], ["mse", "fid"]]


@pytest.mark.parametrize("other", [{"told": ["labels"]}, {"nll_samples": 100}, {"discrete": True}])
def test_other_likelihoods_do_not_compete(other: dict[str, object]) -> None:
    rows = [{"run": "a", "data": "mnist", "nll": 90.0, "nll_samples": 500, "discrete": False}]
    rows.append(rows[0] | {"run": "b", "nll": 80.0} | other)
    assert [row["best"] for row in compare_rows(rows)] == [[], []]


def test_compared_rows_are_json() -> None:
    rows = compare_rows([*runs(), {"run": "runs/nan", "nll": float("nan")}])
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert "extra" not in rows[2]
    assert "nll" not in rows[3]


def test_the_table_has_aligned_columns_errors_marks_and_gaps() -> None:
    table = compare_table(runs())
    heading, rule, a, b, c = table.splitlines()[:5]
    assert heading.split() == ["run", "recipe", "data", "parameters", "epochs", "nll", "elbo", "rate", "mse"]
    assert set(rule) == {"-", " "}
    assert "1,234,567" in a
    assert "90.00 ± 0.40" in a
    assert "86.50 *" in b
    assert "90.00 ± 0.40 *" not in table
    assert c.split()[:3] == ["runs/c", "-", "digits"]
    assert a.index("mnist") == b.index("mnist") == c.index("digits")


def test_a_table_of_nothing_says_so() -> None:
    assert compare_table([]) == "There are no runs to compare."


def test_an_older_run_competes_by_means_and_codes_without_noise_by_any_draws() -> None:
    same = {"data": "mnist", "feature_network": "f"}
    old, new = {"run": "a", "fid": 10.0} | same, {"run": "b", "fid": 20.0, "samples": "means"} | same
    assert [row["best"] for row in compare_rows([old, new])] == [["fid"], []]
    assert [row["best"] for row in compare_rows([old, new | {"samples": "draws"}])] == [[], []]
    vq = [{"run": "a", "nll": 9.0, "nll_samples": 1, "noiseless": True} | same]
    vq += [{"run": "b", "nll": 8.0, "nll_samples": 500, "noiseless": True} | same]
    assert [row["best"] for row in compare_rows(vq)] == [[], ["nll"]]
