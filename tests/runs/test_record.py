"""What evaluation.json holds after several judgements: which numbers stay, and which give way."""

from pathlib import Path

import pytest

from reparam.errors import MissingExtraError
from reparam.evaluation.metrics import is_of
from reparam.runs import Run, open_run, train
from reparam.runs.record import with_numbers
from tests.contracts.members import tiny_data


def judged() -> Run:
    """A run in memory with eight test items."""
    settings = {"train": {"batch_size": 8, "epochs": 1, "tensorboard": False}}
    return train("vae", settings, data=tiny_data("real", (4,)), device="cpu")


def test_numbers_by_another_seed_are_kept_beside() -> None:
    done = judged()
    first = done.evaluate(metrics="elbo")
    second = done.evaluate(metrics="reconstruction", seed=1)
    assert done.evaluation == second | {"subsets": {"8 items, seed 0": first}}
    third = done.evaluate(metrics="reconstruction")
    assert done.evaluation == first | third | {"subsets": {"8 items, seed 1": second}}


def test_fewer_draws_do_not_take_the_place_of_more() -> None:
    done = judged()
    more = done.evaluate(metrics="nll", samples=7)
    fewer = done.evaluate(metrics=("elbo", "nll"), samples=2)
    assert fewer["nll_samples"] == 2
    assert done.evaluation == more | {key: fewer[key] for key in fewer if not is_of(key, ["nll"])}
    assert done.evaluate(metrics="nll", samples=9).items() <= done.evaluation.items()


def test_fewer_particles_do_not_take_the_place_of_more() -> None:
    kept = {"n": 8, "seed": 0, "filtered_nll": 5.0, "filtered_nll_samples": 9}
    few = {"n": 8, "seed": 0, "mse": 0.5, "filtered_nll": 5.2, "filtered_nll_samples": 3}
    assert with_numbers(kept, few, ["filtered", "reconstruction"]) == kept | {"mse": 0.5}
    many = few | {"filtered_nll_samples": 10}
    assert with_numbers(kept, many, ["filtered", "reconstruction"]) == many


def test_a_refusal_takes_the_place_of_the_number() -> None:
    kept = {"n": 8, "seed": 0, "nll": 5.0, "nll_samples": 9, "bits_per_dim": 1.0, "mse": 0.5}
    found = with_numbers(kept, {"n": 8, "seed": 0, "nll_refused": "no density"}, ["nll"])
    assert found == {"n": 8, "seed": 0, "mse": 0.5, "nll_refused": "no density"}
    again = {"n": 8, "seed": 0, "nll": 4.0, "nll_samples": 1}
    assert with_numbers(found, again, ["nll"]) == again | {"mse": 0.5}


def test_means_and_draws_are_not_mixed() -> None:
    kept = {"split": "test", "data": "d", "n": 9, "seed": 0, "fid": 3.0, "fid_n": 9, "mse": 0.1}
    found = {"split": "test", "data": "d", "n": 9, "seed": 0, "kid": 0.2, "samples": "draws"}
    merged = with_numbers(kept, found, ["kid"])
    assert merged == {"split": "test", "data": "d", "n": 9, "seed": 0, "mse": 0.1, "kid": 0.2, "samples": "draws"}
    assert with_numbers(kept, found | {"samples": "means"}, ["kid"])["fid"] == 3.0


def test_one_draw_without_noise_takes_the_place_of_many() -> None:
    kept = {"split": "test", "data": "d", "n": 9, "seed": 0, "nll": 3.0, "nll_samples": 500}
    found = {"split": "test", "data": "d", "n": 9, "seed": 0, "nll": 2.9, "nll_samples": 1}
    assert with_numbers(kept, found, ["nll"])["nll"] == 3.0
    assert with_numbers(kept, found | {"noiseless": True}, ["nll"])["nll"] == 2.9


def test_a_run_whose_noise_was_not_trained_is_judged_by_its_samples(tmp_path: Path) -> None:
    settings = {"train": {"batch_size": 8, "epochs": 1, "validations": 1, "tensorboard": False}}
    data = tiny_data("unit", (4,))
    done = train("vae-gan", settings, data=data, out=tmp_path / "run", device="cpu")
    assert done.judged_by == ("fid", "precision-recall", "reconstruction")
    found = open_run(tmp_path / "run", "cpu", data).evaluate(metrics=["elbo", "nll"], samples=2)
    assert "noise of p(x|z) was not trained" in found["nll_note"]
    assert found["elbo_note"] == found["nll_note"]
    assert "nll_note" in done.evaluation
    plain = judged()
    assert plain.judged_by == plain.model.judged_by
    assert "nll_note" not in plain.evaluate(metrics="nll", samples=2)


def test_what_nobody_asked_for_is_left_out_where_its_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reparam.evaluation.metrics.find_spec", lambda name: None)
    done = judged()
    done.likelihood_trained = False
    found = done.evaluate()
    assert "needs torchmetrics" in found["fid_refused"]
    assert "mse" in found
    with pytest.raises(MissingExtraError, match="needs torchmetrics"):
        done.evaluate(metrics=done.judged_by)


def test_numbers_in_other_features_are_not_mixed() -> None:
    kept = {"n": 9, "seed": 0, "fid": 3.0, "recon_fid": 2.0, "feature_network": "a", "mse": 0.1}
    found = {"n": 9, "seed": 0, "fid": 5.0, "feature_network": "b"}
    assert with_numbers(kept, found, ["fid"]) == found | {"mse": 0.1}
    assert with_numbers(kept, found | {"feature_network": "a"}, ["fid"])["recon_fid"] == 2.0
