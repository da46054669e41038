"""What each verb does with a trained model."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reparam.samplers import PRIOR, SAMPLERS
from tests.cli.conftest import SMALL, Invoke, trained


def test_evaluate(invoke: Invoke, vae: Path) -> None:
    answer = invoke("evaluate", vae, "--samples", 5, "--limit", 12)
    assert answer.code == 0
    assert "test split, 12 items" in answer.out
    assert "nats per example" in answer.out


def test_evaluate_json(invoke: Invoke, vae: Path) -> None:
    words = ("evaluate", vae, "--metrics", "nll, elbo", "--split", "validation", "--samples", 5, "--json")
    first, second = invoke(*words).json, invoke(*words).json
    assert first == second
    assert first["split"] == "validation"
    assert first["nll_samples"] == 5
    assert first["nll"] <= -first["elbo"] + 1
    assert "mse" not in first
    assert first != invoke(*words, "--seed", 1).json


def test_numbers_in_evaluation_json_are_of_the_same_items(invoke: Invoke, vae: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(vae, tmp_path / "run")
    (folder / "evaluation.json").unlink()
    invoke("evaluate", folder, "--metrics", "elbo", "--limit", 10)
    invoke("evaluate", folder, "--metrics", "nll", "--samples", 2, "--limit", 10)
    kept = json.loads((folder / "evaluation.json").read_text())
    assert {"elbo", "nll"} <= kept.keys()
    invoke("evaluate", folder, "--metrics", "nll", "--samples", 2, "--limit", 12)
    kept = json.loads((folder / "evaluation.json").read_text())
    assert kept["n"] == 12
    assert "elbo" not in kept


BESIDE = "5 items, seed 0"


@pytest.mark.usefixtures("sketched")
def test_numbers_of_fewer_items_stand_beside(invoke: Invoke, vae: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(vae, tmp_path / "run")
    (folder / "evaluation.json").unlink()
    invoke("evaluate", folder, "--metrics", "elbo", "--limit", 10)
    before = json.loads((folder / "evaluation.json").read_text())
    found = invoke("evaluate", folder, "--metrics", "nll", "--samples", 2, "--limit", 5, "--json").json
    kept = json.loads((folder / "evaluation.json").read_text())
    assert kept == before | {"subsets": {BESIDE: {key: value for key, value in found.items() if key != "run"}}}
    invoke("evaluate", folder, "--metrics", "reconstruction", "--limit", 5)
    invoke("evaluate", folder, "--metrics", "nll", "--samples", 2, "--limit", 5, "--seed", 3)
    beside = json.loads((folder / "evaluation.json").read_text())["subsets"]
    assert {"nll", "mse"} <= beside[BESIDE].keys()
    assert beside["5 items, seed 3"]["nll"] != beside[BESIDE]["nll"]
    invoke("evaluate", folder, "--metrics", "elbo")
    kept = json.loads((folder / "evaluation.json").read_text())
    assert (kept["n"], kept["subsets"]) == (40, beside)
    assert invoke("report", folder).code == 0
    assert "Measured on 5 items." in (folder / "report.html").read_text(encoding="utf-8")


def test_numbers_of_fewer_samples_stand_beside_too(invoke: Invoke, vae: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(vae, tmp_path / "run")
    invoke("evaluate", folder, "--metrics", "ppc", "--sampler", "gmm")
    invoke("evaluate", folder, "--metrics", "ppc", "--sampler", "gmm", "--limit", 5)
    found = json.loads((folder / "evaluation.json").read_text())["samplers"]["gmm"]
    assert (found["n"], found["subsets"][BESIDE]["n"]) == (40, 5)


def test_evaluate_samples_and_codes(
    invoke: Invoke, vae: Path, ae: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPARAM_CACHE", str(tmp_path / "cache"))
    folder = shutil.copytree(vae, tmp_path / "run")
    answer = invoke("evaluate", folder, "--metrics", "fid,mig,factor-vae")
    assert answer.code == 0
    assert "FID" in answer.out
    assert "MIG" in answer.out
    assert "compared in features: conv-64 classifier of " in answer.out
    assert "no factor-vae: The FactorVAE score compares factors" in answer.out
    kept = json.loads((folder / "evaluation.json").read_text())
    assert {"fid", "fid_n", "feature_network", "mig", "factor_vae_refused"} <= kept.keys()
    assert len(list((tmp_path / "cache" / "feature-networks").iterdir())) == 1
    invoke("evaluate", folder, "--metrics", "mig,nmi")
    assert json.loads((folder / "evaluation.json").read_text())["fid"] == kept["fid"]
    found = invoke("evaluate", folder, "--metrics", "fid", "--features", "random", "--json").json
    assert found["feature_network"].startswith("conv-64 random")
    assert (
        "There is no feature network" in invoke("evaluate", folder, "--metrics", "fid", "--features", "inception").err
    )
    alone = invoke("evaluate", ae, "--metrics", "fid")
    assert alone.code == 1
    assert "A plain autoencoder has no prior p(z)" in alone.err


def test_all_items_of_other_data(invoke: Invoke, table: tuple[Path, Path]) -> None:
    words = ("evaluate", table[0], "--metrics", "nll,probe", "--samples", 3, "--split", "all")
    answer = invoke(*words, "--data", table[1], "--json").json
    assert (answer["split"], answer["n"]) == ("all", 30)
    scores = invoke("score", *table, "--samples", 3, "--json").json
    assert answer["nll"] == pytest.approx(-scores["mean"], rel=1e-6)
    assert "probe_refused" in answer
    alone = invoke(*words)
    assert alone.code == 1
    assert "name a source" in alone.err


def test_a_reason_goes_when_a_number_comes(invoke: Invoke, vae: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(vae, tmp_path / "run")
    invoke("evaluate", folder, "--metrics", "elbo")
    path = folder / "evaluation.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"mig_refused": "none yet", "fid_refused": "no prior"}))
    invoke("evaluate", folder, "--metrics", "mig")
    kept = json.loads(path.read_text())
    assert "mig" in kept
    assert "mig_refused" not in kept
    assert kept["fid_refused"] == "no prior"


def test_evaluate_other_data(invoke: Invoke, table: tuple[Path, Path]) -> None:
    answer = invoke("evaluate", table[0], "--data", table[1], "--metrics", "elbo", "--json")
    assert answer.json["data"] == str(table[1])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--metrics", "mse"), 2, "There is no metric 'mse'."),
        (("--split", "tset"), 2, "--split"),
        (("--samples", "0"), 2, "--samples 0: expected a number above 0."),
        (("--metrics", ""), 2, "--metrics"),
        (("--limit", "0"), 2, "--limit 0"),
    ],
)
def test_evaluate_refuses(invoke: Invoke, vae: Path, words: tuple[str, ...], code: int, said: str) -> None:
    answer = invoke("evaluate", vae, *words)
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err


def test_no_likelihood_without_a_density(invoke: Invoke, ae: Path) -> None:
    answer = invoke("evaluate", ae, "--metrics", "nll")
    assert answer.code == 1
    assert "has no density" in answer.err
    answer = invoke("evaluate", ae, "--samples", 2)
    assert answer.code == 0
    assert "no log p(x): A plain autoencoder" in answer.out


def test_score(invoke: Invoke, vae: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    answer = invoke("score", vae, "digits", "--samples", 2, "--out", out, "--json").json
    values = np.array(answer["log_p_x"])
    assert answer["n"] == len(values) == len(answer["label"]) == 1797
    assert answer["outliers_first"] == np.argsort(values, kind="stable").tolist()
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["log_p_x"]) for row in rows] == answer["log_p_x"]


@pytest.mark.parametrize("verb", ["score", "encode", "reconstruct"])
def test_a_split_of_the_runs_own_data_is_the_runs_own(
    invoke: Invoke, ae: Path, vae: Path, verb: str, tmp_path: Path
) -> None:
    words = {
        "score": ["--samples", 2],
        "encode": ["--out", tmp_path / "z.npz"],
        "reconstruct": ["--out", tmp_path / "x.npz"],
    }
    answer = invoke(verb, vae, "digits", *words[verb], "--split", "test", "--json").json
    assert (answer["split"], answer["n"]) == ("test", 40)  # of the 1,797 digits, those that the run has kept
    whole = invoke(verb, vae, "digits", *words[verb])
    assert "all items, also those that it was trained on; --split test gives the test items alone" in whole.err


def test_score_of_a_split_is_that_of_the_run(invoke: Invoke, tmp_path: Path) -> None:
    folder = trained(tmp_path / "run", "vae", "--data.binarize=dynamic")
    scores = invoke("score", folder, "digits", "--samples", 5, "--split", "test", "--json").json
    judged = invoke("evaluate", folder, "--metrics", "nll", "--samples", 5, "--json").json
    assert -scores["mean"] == pytest.approx(judged["nll"], rel=1e-6)


def test_a_split_has_all_its_labels_and_each_item_once(invoke: Invoke, tmp_path: Path) -> None:
    folder = trained(tmp_path / "run", "m2", "--data.labelled=10", "--model.latent_dim=3")
    assert invoke("encode", folder, "digits", "--split", "train", "--out", tmp_path / "z.npz").code == 0
    codes = np.load(tmp_path / "z.npz")
    assert len(codes["mean"]) == len(np.unique(codes["mean"], axis=0)) == 40
    assert set(codes["label"]) == set("0123456789")


def test_a_model_alone_has_no_data_of_its_own(invoke: Invoke, vae: Path, tmp_path: Path) -> None:
    shutil.copytree(vae / "model", tmp_path / "alone")
    answer = invoke("score", tmp_path / "alone", "digits", "--samples", 2, "--split", "test", "--json")
    assert (answer.code, answer.json["n"]) == (0, 180)
    assert "trained on" not in invoke("score", tmp_path / "alone", "digits", "--samples", 2).err


def test_score_table(invoke: Invoke, table: tuple[Path, Path], tmp_path: Path) -> None:
    answer = invoke("score", *table, "--samples", 2, "--top", 3, "--out", tmp_path / "s.npz")
    assert answer.code == 0
    assert "30 items" in answer.out
    assert "the least likely 3 first" in answer.out
    assert "30 items have fewer than 10 effective samples" in answer.out
    assert set(np.load(tmp_path / "s.npz")) == {"index", "log_p_x", "stderr", "ess"}


def test_sample_grid(invoke: Invoke, vae: Path, tmp_path: Path) -> None:
    answer = invoke("sample", vae, "-n", 7, "--json").json
    assert answer["out"] == str(vae / "samples.png")
    with Image.open(vae / "samples.png") as image:
        assert image.width > 8 * 3
    again = tmp_path / "again.png"
    invoke("sample", vae, "-n", 7, "--out", again)
    assert again.read_bytes() == (vae / "samples.png").read_bytes()
    invoke("sample", vae, "-n", 7, "--out", again, "--seed", 1)
    assert again.read_bytes() != (vae / "samples.png").read_bytes()


def test_sample_arrays_and_folder(invoke: Invoke, vae: Path, tmp_path: Path) -> None:
    assert invoke("sample", vae, "-n", 5, "--draw", "--out", tmp_path / "x.npz").code == 0
    x = np.load(tmp_path / "x.npz")["x"]
    assert x.shape == (5, 1, 8, 8)
    assert not (x == np.round(x)).all(), "draws from a Normal likelihood are no whole numbers"
    assert invoke("sample", vae, "-n", 5, "--temperature", 0, "--out", tmp_path / "many").code == 0
    pictures = sorted((tmp_path / "many").iterdir())
    assert len(pictures) == 5
    assert len({path.read_bytes() for path in pictures}) == 1
    with Image.open(pictures[0]) as image:
        assert (image.size, image.mode) == ((8, 8), "L")


def test_sample_of_a_table(invoke: Invoke, table: tuple[Path, Path], tmp_path: Path) -> None:
    assert invoke("sample", table[0], "-n", 4, "--out", tmp_path / "x.csv").code == 0
    lines = (tmp_path / "x.csv").read_text().splitlines()
    assert lines[0] == "width,height,depth"
    assert len(lines) == 5
    answer = invoke("sample", table[0], "--out", tmp_path / "x.png")
    assert answer.code == 2
    assert "are no pictures. Write .npz or .csv." in answer.err


def test_score_refuses_to_show_none(invoke: Invoke, table: tuple[Path, Path]) -> None:
    answer = invoke("score", *table, "--samples", 2, "--top", -3)
    assert (answer.code, "--top -3: expected a number above 0" in answer.err) == (2, True)


@pytest.mark.parametrize("temperature", ["nan", "-1", "inf"])
def test_sample_refuses_a_temperature(invoke: Invoke, vae: Path, temperature: str) -> None:
    answer = invoke("sample", vae, f"--temperature={temperature}")
    assert (answer.code, "expected a number above 0" in answer.err) == (2, True)


def test_sample_refuses(invoke: Invoke, vae: Path, ae: Path) -> None:
    assert invoke("sample", vae, "-n", 0).code == 2
    assert invoke("sample", vae, "--out", "x.jpg").code == 2
    answer = invoke("sample", ae)
    assert answer.code == 1
    assert "has no prior" in answer.err


@pytest.mark.parametrize("name", ["z.npz", "z.csv", "z.parquet"])
def test_encode(invoke: Invoke, table: tuple[Path, Path], tmp_path: Path, name: str) -> None:
    out = tmp_path / "sub" / name
    answer = invoke("encode", *table, "--out", out, "--json").json
    assert (answer["n"], answer["latent_dim"], answer["arrays"]) == (30, 2, ["mean", "stddev"])
    if name == "z.npz":
        arrays = np.load(out)
        assert arrays["mean"].shape == arrays["stddev"].shape == (30, 2)
        return
    if name == "z.parquet":
        pandas = pytest.importorskip("pandas")
        assert pandas.read_parquet(out).columns.tolist() == ["index", "z0", "z1", "stddev0", "stddev1"]
        return
    assert out.read_text().splitlines()[0] == "index,z0,z1,stddev0,stddev1"


def test_encode_keeps_labels_and_order(invoke: Invoke, ae: Path, tmp_path: Path) -> None:
    out = tmp_path / "z.npz"
    assert invoke("encode", ae, "digits", "--out", out).code == 0
    arrays = np.load(out)
    assert set(arrays) == {"index", "label", "mean"}
    assert arrays["label"][:10].tolist() == list("0123456789")


def test_reconstruct(invoke: Invoke, ae: Path, tmp_path: Path) -> None:
    answer = invoke("reconstruct", ae, "digits", "--out", tmp_path / "r.npz", "--json").json
    arrays = np.load(tmp_path / "r.npz")
    assert arrays["x"].shape == arrays["x_hat"].shape == (1797, 1, 8, 8)
    assert answer["mse"] == pytest.approx(float(np.square(arrays["x"] - arrays["x_hat"]).mean()), rel=1e-4)
    answer = invoke("reconstruct", ae, "digits", "-n", 20)
    assert "mean squared error" in answer.out
    with Image.open(ae / "reconstructions.png") as image:
        assert image.height > image.width / 6


def test_reconstruct_by_tiles(invoke: Invoke, ae: Path, tmp_path: Path) -> None:
    """A picture of its own size, grey or not, put together from tiles of eight by eight."""
    large = tmp_path / "large.png"
    Image.fromarray((np.arange(20 * 33 * 3).reshape(20, 33, 3) % 256).astype(np.uint8)).save(large)
    answer = invoke("reconstruct", ae, large, "--tiles", "--out", tmp_path / "r.npz", "--json").json
    arrays = np.load(tmp_path / "r.npz")
    assert arrays["x"].shape == arrays["x_hat"].shape == (1, 1, 20, 33)
    assert answer["mse"] > 0
    assert invoke("reconstruct", ae, large, "--tiles", "--out", tmp_path / "r.png").code == 0
    refused = invoke("reconstruct", ae, large, "--tiles", "--overlap", 0.8)
    assert refused.code == 2
    assert "--overlap 0.8: expected a share from 0 to 0.5" in refused.err
    refused = invoke("reconstruct", ae, large, "--overlap", 0.4)
    assert "--overlap 0.4: only tiles overlap" in refused.err
    assert "Leave one of them out" in invoke("reconstruct", ae, large, "--tiles", "--split", "test").err


def test_reconstruct_table(invoke: Invoke, table: tuple[Path, Path], tmp_path: Path) -> None:
    assert invoke("reconstruct", *table, "--out", tmp_path / "r.csv").code == 0
    assert len((tmp_path / "r.csv").read_text().splitlines()) == 31


@pytest.fixture(scope="session")
def digit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of our own."""
    path = tmp_path_factory.mktemp("digit") / "digit.png"
    Image.fromarray((np.arange(64).reshape(8, 8) * 4).astype(np.uint8)).save(path)
    return path


def test_interpolate(invoke: Invoke, ae: Path, digit: Path, tmp_path: Path) -> None:
    out = tmp_path / "i.npz"
    answer = invoke("interpolate", ae, 1, digit, "--steps", 4, "--path", "spherical", "--out", out, "--json").json
    assert answer["steps"] == 4
    assert np.load(out)["x"].shape == (4, 1, 8, 8)
    assert invoke("interpolate", ae, 0, 1).code == 0
    assert (ae / "interpolation.png").stat().st_size > 500


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("999", "There is no item 999 in the test split; expected 0 to 39."),
        ("-1", "There is no item -1 in the test split"),
        ("class:x", "There is no class 'x'."),
        ("digits", "digits holds 1,797 items, expected one."),
        ("nowhere.png", "There is no data set or path 'nowhere.png'."),
    ],
)
def test_items_that_are_not_there(invoke: Invoke, ae: Path, item: str, said: str) -> None:
    answer = invoke("interpolate", ae, 0, item)
    assert answer.code == 1
    assert said in answer.err


def test_item_of_a_class(invoke: Invoke, ae: Path, table: tuple[Path, Path], tmp_path: Path) -> None:
    from reparam.cli.items import read_item
    from reparam.runs import open_run

    run = open_run(ae, "cpu")
    test = run.load_data().test
    number = int(test.labels[0])
    x = read_item(run, f"class:{number}", seed=0).x[0]
    same = (test.batch(slice(None)).x == x).flatten(1).all(1)
    assert (test.labels[same] == number).all()
    assert same.any()
    answer = invoke("interpolate", table[0], 0, "class:1")
    assert "the data have no classes" in answer.err


def test_traverse(invoke: Invoke, vae: Path, ae: Path, tmp_path: Path) -> None:
    answer = invoke(
        "traverse", vae, "--dims", "2,0", "--item", 1, "--steps", 3, "--out", tmp_path / "t.npz", "--json"
    ).json
    assert answer["dims"] == [2, 0]
    assert len(answer["kl"]) == 2
    assert np.load(tmp_path / "t.npz")["x"].shape == (2, 3, 1, 8, 8)
    assert invoke("traverse", ae).code == 0
    assert (ae / "traversal.png").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--dims", "a"), 2, "--dims 'a': expected whole numbers such as 0,4,7."),
        (("--dims", "7"), 1, "got dimension 7, expected 0 to 2."),
        (("--span", "0"), 2, "--span 0.0: expected a number above 0."),
        (("--out", "t.csv"), 2, "expected a file name that ends in .png or .npz."),
    ],
)
def test_traverse_refuses(invoke: Invoke, vae: Path, words: tuple[str, ...], code: int, said: str) -> None:
    answer = invoke("traverse", vae, *words)
    assert answer.code == code
    assert said in answer.err


def test_report(invoke: Invoke, vae: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(vae, tmp_path / "run")
    answer = invoke("report", folder, "--json").json
    assert answer["report"] == str(folder / "report.html")
    assert "reparam train vae --epochs=2" in (folder / "report.html").read_text()


def test_compare(invoke: Invoke, vae: Path, ae: Path) -> None:
    answer = invoke("compare", vae, ae)
    assert str(vae) in answer.out
    assert "nats per example" in answer.out
    rows = invoke("compare", vae, ae, "--json").json["runs"]
    assert [row["recipe"] for row in rows] == ["vae", "ae"]
    assert rows[0]["parameters"] > 0


def test_a_model_folder_serves_as_a_run(invoke: Invoke, vae: Path, tmp_path: Path) -> None:
    assert invoke("evaluate", vae / "model", "--metrics", "elbo").code == 0
    alone = shutil.copytree(vae / "model", tmp_path / "alone")
    assert invoke("sample", alone, "-n", 2).code == 0
    assert (alone / "samples.png").exists()
    assert invoke("encode", alone, "digits", "--out", tmp_path / "z.npz").code == 0
    assert not (alone / "evaluation.json").exists()


def test_list(invoke: Invoke) -> None:
    recipes = {row["recipe"]: row for row in invoke("list", "recipes", "--json").json["recipes"]}
    assert "Kingma & Welling" in recipes["vae"]["paper"]
    assert recipes["vae"]["meaning"].startswith("Variational autoencoder")
    assert all(row["meaning"] and row["paper"] for row in recipes.values())
    assert {row["name"] for row in invoke("list", "data", "--json").json["data"]} >= {"digits", "mnist"}
    assert {row["metric"] for row in invoke("list", "metrics", "--json").json["metrics"]} >= {"nll", "elbo"}
    parts = {(row["setting"], row["kind"]): row["settings"] for row in invoke("list", "parts", "--json").json["parts"]}
    assert parts["model.likelihood", "normal"] == {"scale": 0.1}
    assert "batch_size" in parts["train", ""]
    assert "latent_dim" in parts["model", "flat"]
    samplers = {row["sampler"]: row for row in invoke("list", "samplers", "--json").json["samplers"]}
    assert {*samplers} == {PRIOR, *SAMPLERS}
    assert samplers["gmm"]["meaning"].endswith("by expectation maximisation.")
    assert "Ghosh et al., 2020" in samplers["gmm"]["paper"]
    assert samplers["autoregressive"]["paper"].endswith("see PixelCNN and CausalTransformer.")
    assert samplers["maf"]["settings"] != samplers["iaf"]["settings"]


@pytest.mark.parametrize("what", ["recipes", "data", "metrics", "parts", "samplers"])
def test_list_for_people(invoke: Invoke, what: str) -> None:
    answer = invoke("list", what)
    assert answer.code == 0
    assert len(answer.out.splitlines()) > 4


def test_doctor(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REPARAM_DATA", raising=False)
    monkeypatch.setenv("REPARAM_CACHE", str(tmp_path / "cache"))
    answer = invoke("doctor")
    assert answer.code == 0
    assert "Nothing needs to be mended." in answer.out
    found = invoke("doctor", "--json").json
    assert found["data_at_hand"] == ["digits", "sprites", "arm"]
    assert "matplotlib" in found["extras"]["plot"]
    assert found["problems"] == []


def test_doctor_finds_problems(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPARAM_DATA", str(tmp_path / "nowhere"))
    answer = invoke("doctor")
    assert answer.code == 1
    assert "is no folder" in answer.out


def test_nan_becomes_null() -> None:
    from reparam.cli.console import plain

    assert plain({"a": float("nan"), 1: [float("inf"), True, Path("x")]}) == {"a": None, "1": [None, True, "x"]}


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    from reparam.files import replacing

    path = tmp_path / "x.npz"
    path.write_text("before")
    with pytest.raises(OSError, match="full") as found, replacing(path) as aside:  # noqa: PT012
        aside.write_text("half")
        raise OSError(28, "full")
    assert found.value.filename == str(path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_model_without_an_encoder_says_that_it_searches(invoke: Invoke, tmp_path: Path) -> None:
    words = [word for word in SMALL if "model.network" not in word]
    run = tmp_path / "run"
    trained = invoke(
        "train", "gan", "--epochs", 1, "--out", run, "--no-report", "--model.decoder.hidden_dims=[16]", *words
    )
    assert trained.code == 0
    assert "samples each for log p(x)" not in trained.err
    answer = invoke("encode", run, "digits", "--split", "test", "--out", tmp_path / "z.npz", "--json")
    assert answer.code == 0
    assert "40 codes are searched for by optimisation" in answer.err
    assert invoke("score", run, "digits", "--split", "test").code == 1


def test_a_folder_of_pictures_is_not_mixed_with_others(invoke: Invoke, vae: Path, tmp_path: Path) -> None:
    assert invoke("sample", vae, "-n", 2, "--out", tmp_path / "new").code == 0
    again = invoke("sample", vae, "-n", 1, "--out", tmp_path / "new")
    assert again.code == 2
    assert "pictures are there already" in again.err
    assert len(list((tmp_path / "new").rglob("*.png"))) == 2


def test_a_sampler_needs_a_metric_of_new_examples(invoke: Invoke, vae: Path) -> None:
    refused = invoke("evaluate", vae, "--metrics", "elbo", "--sampler", "gmm", "--limit", 5)
    assert refused.code != 0
    assert "none of elbo judges new examples" in refused.err
