"""The whole report: which figures there are, and that the page stands on its own."""

import base64
import io
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.distributions import Distribution

from reparam.data.records import Data
from reparam.distributions import Energy
from reparam.errors import DataError
from reparam.report import write_page
from reparam.report.curves import training_curves
from reparam.report.figures import _samples, draw_sections
from reparam.report.midi import midi
from reparam.report.observed import view_for
from reparam.report.story import Story
from reparam.report.subject import look_at
from reparam.shapes import Shape
from tests.report.fakes import REFUSAL, TinyModel, evaluation_of, metrics_of, tiny_data

EVIL = "<script>alert(\"1\")</script> & 'x'"


pytestmark = pytest.mark.usefixtures("sketched")


@pytest.fixture
def without_matplotlib(sketched: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)


class Page(HTMLParser):
    """What a test asks of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = text
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def report(folder: Path, model: TinyModel, data: Data, **changes: Any) -> Page:
    settings: dict[str, Any] = {
        "config": {"recipe": "vae", "seed": 0},
        "metrics": metrics_of(),
        "command": "reparam train",
    }
    settings |= {"evaluation": evaluation_of(model.latent_dim)} | changes
    return Page(write_page(folder, model, data, **settings).read_text(encoding="utf-8"))


def figure_names(folder: Path) -> set[str]:
    return {path.stem for path in (folder / "figures").glob("*.png")}


CURVES = {"curve-elbo", "curve-distortion", "curve-rate", "curve-learning-rate"}
ALWAYS = {"reconstructions", "traversals", "latent-map", "interpolations"}
PICTURES = {"reconstructions", "samples", "traversals", "interpolations"}


def test_a_report_of_images_has_every_figure_in_order(tmp_path: Path) -> None:
    page = report(tmp_path, TinyModel((1, 28, 20)), tiny_data((1, 28, 20), classes=("cat", "dog")))
    assert figure_names(tmp_path) == CURVES | ALWAYS | {"samples", "kl-per-dimension"}
    order = "numbers training reconstructions samples traversals latent-space interpolations kl again"
    assert [tag["id"] for tag in page.all("section")] == order.split()
    links = [tag["href"] for tag in page.all("a")]
    assert links[1:] == [f"#{tag['id']}" for tag in page.all("section")]
    assert "S = 500" in page.text
    assert "91.23 ± 0.42" in page.text
    for name in figure_names(tmp_path):
        Image.open(tmp_path / "figures" / f"{name}.png").verify()


def test_the_page_asks_nothing_of_the_outside(tmp_path: Path) -> None:
    page = report(tmp_path, TinyModel((1, 8, 8), 2), tiny_data((1, 8, 8)))
    addresses = [
        tag[key] or "" for _, tag in page.tags for key in ("src", "href", "srcset", "data", "action") if key in tag
    ]
    assert addresses
    assert all(address.startswith(("data:image/", "#")) for address in addresses)
    assert not re.search(r"https?:|//[a-z]|url\(|@import", re.sub(r"base64,[\w+/=]+", "", page.text))
    assert not page.all("script")
    assert not page.all("link")
    assert "prefers-color-scheme: dark" in page.text
    for tag in page.all("img"):
        Image.open(io.BytesIO(base64.b64decode((tag["src"] or "").partition("base64,")[2]))).verify()


@pytest.mark.usefixtures("without_matplotlib")
def test_music_is_heard_from_the_page_and_from_the_folder(tmp_path: Path) -> None:
    page = report(tmp_path, TinyModel((88, 6)), tiny_data((88, 6), kind="binary"))
    heard = {path.name: path.read_bytes() for path in (tmp_path / "figures").glob("*.mid")}
    assert {"samples.mid", "reconstructions.mid"} == heard.keys()
    links = {tag["download"]: tag["href"] or "" for tag in page.all("a") if "download" in tag}
    assert {
        name: base64.b64decode(link.removeprefix("data:audio/midi;base64,")) for name, link in links.items()
    } == heard
    view = view_for(tiny_data((88, 6), kind="binary").spec, torch.ones(1, 88, 6))
    rows = torch.rand(2, 4, 88, 6, generator=torch.Generator().manual_seed(0))
    (drawing,) = view.copies([("original", rows[0]), ("copy", rows[1])])
    # three items, each before its copy
    assert drawing.music == midi(torch.stack([rows[0, 0], rows[1, 0], rows[0, 1], rows[1, 1], rows[0, 2], rows[1, 2]]))
    report(tmp_path, TinyModel((4, 6)), tiny_data((4, 6), kind="binary"))  # fewer values than a piano has keys
    assert not list((tmp_path / "figures").glob("*.mid"))


def test_the_page_can_be_read_by_everyone(tmp_path: Path) -> None:
    page = report(tmp_path, TinyModel((1, 8, 8)), tiny_data((1, 8, 8)))
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    assert page.all("caption")
    assert all(tag["scope"] in ("row", "col") for tag in page.all("th"))
    assert len(page.all("img")) == len(figure_names(tmp_path))
    assert all(len(tag["alt"] or "") > 20 and tag["width"] and tag["height"] for tag in page.all("img"))
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    ids = [tag["id"] for _, tag in page.tags if "id" in tag]
    assert len(ids) == len(set(ids))


@pytest.mark.usefixtures("without_matplotlib")
def test_nothing_that_comes_from_outside_becomes_markup(tmp_path: Path) -> None:
    page = report(
        tmp_path,
        TinyModel((1, 8, 8)),
        tiny_data((1, 8, 8), classes=(EVIL, "$title")),
        config={"recipe": EVIL, "data": {"source": EVIL, "path": Path("/tmp/<x>"), "size": (8, 8)}},
        evaluation={EVIL: 3.0, "split": EVIL, "nll_refused": EVIL},
        command=f"reparam train {EVIL} $command",
    )
    assert not page.all("script")
    assert "<script" not in page.text
    assert "&lt;script&gt;" in page.text
    assert "$command" in page.text


@pytest.mark.usefixtures("without_matplotlib")
def test_settings_command_versions_and_sizes_are_told(tmp_path: Path) -> None:
    config = {"recipe": "beta-vae", "model": {"latent_dim": 3}, "train": {"betas": (0.9, 0.999)}}
    page = report(tmp_path, TinyModel((1, 8, 8)), tiny_data((1, 8, 8)), config=config, command="reparam train beta-vae")
    assert "<h1>beta-vae on tiny</h1>" in page.text
    assert "x 1x8x8 · 3 latent dimensions · 192 parameters · 3 epochs · trained in 1 min 0 s" in page.text
    assert "model:\n  latent_dim: 3\ntrain:\n  betas:\n  - 0.9\n  - 0.999" in page.text
    assert "<code>reparam train beta-vae</code>" in page.text
    assert f"<dt>torch</dt><dd>{torch.__version__}</dd>" in page.text
    assert page.all("details")


@pytest.mark.usefixtures("without_matplotlib")
def test_without_matplotlib_one_line_says_so_and_the_pictures_are_there(tmp_path: Path) -> None:
    page = report(tmp_path, TinyModel((1, 8, 8), 2), tiny_data((1, 8, 8)))
    assert figure_names(tmp_path) == PICTURES | {"latent-plane"}
    assert page.text.count('class="notice"') == 1
    assert "pip install &quot;reparam[plot]&quot;" in page.text


def test_a_plain_autoencoder_says_why_it_has_no_samples(tmp_path: Path) -> None:
    rows = [row | {"loss": row["distortion"]} for row in metrics_of()]
    model, data = TinyModel((1, 8, 8), 2, prior=False), tiny_data((1, 8, 8))
    page = report(tmp_path, model, data, evaluation={"mse": 0.1}, metrics=rows)
    assert figure_names(tmp_path) == {"curve-distortion", "curve-learning-rate", "latent-plane"} | ALWAYS
    assert REFUSAL in page.text
    assert "no prior, so there is no KL" in page.text


@pytest.mark.usefixtures("without_matplotlib")
def test_reasons_are_told_with_the_names_of_their_metrics(tmp_path: Path) -> None:
    found = {"n": 40, "nll_refused": "No density.", "collapse_refused": "No density.", "factor_vae_refused": "One."}
    model, data = TinyModel((1, 8, 8)), tiny_data((1, 8, 8))
    alone, beside = (report(tmp_path, model, data, evaluation=found | more) for more in ({}, {"mse": 0.5}))
    reasons = "nll, collapse: No density. factor-vae: One."
    assert f'<p class="note">Nothing could be measured on the test split. {reasons}</p>' in alone.text
    assert "has not been evaluated" not in alone.text
    assert f"One nat is 1.44 bits. {reasons}</caption>" in beside.text


class Distance(TinyModel):
    """Its p(x|z) is a distance, without noise."""

    def decode(self, z: Tensor) -> Distribution:
        return Energy(super().decode(z).mean, lambda x, x_hat: (x - x_hat).square(), len(self.data_shape))


def story(model: TinyModel, metrics: list[dict[str, Any]]) -> Story:
    """A model of rows of a table, and how its training went."""
    subject = look_at(model, tiny_data((5,), kind="real"), {"kl_per_dim": [1.0] * 3})
    return Story(subject, view_for(subject.spec, subject.items), metrics)


def test_noise_is_told_only_where_it_is_drawn() -> None:
    (figure,) = _samples(story(Distance((5,)), []))
    assert "drawn, not taken from the data" in figure.caption
    assert "oise" not in figure.caption


def ended(**terms: float) -> list[dict[str, Any]]:
    """The last rows of validation."""
    return [{"step": step, "split": "validation", "distortion": 9.0, **terms} for step in (1, 2)]


@pytest.mark.parametrize(
    ("terms", "titles", "said"),
    [
        ({"elbo": -11.0, "rate": 2.0, "loss": 11.0}, ["ELBO"], "The bound on log p(x) that training pushes up"),
        ({"elbo": -11.0, "rate": 2.0, "loss": 17.0}, ["Loss", "ELBO"], "pushes down the loss, which differs"),
        (
            {"elbo": -11.0, "rate": 2.0, "loss": 8.0, "importance_bound": -8.0},
            ["Importance-weighted bound", "ELBO"],
            "Training pushes up another one.",
        ),
        ({"elbo": -10.0, "loss": 10.0}, ["Objective"], "It is no bound on log p(x)"),
    ],
)
def test_curves_say_what_training_pushes(terms: dict[str, float], titles: list[str], said: str) -> None:
    figures = training_curves(story(TinyModel((5,)), ended(**terms)))
    assert [figure.title for figure in figures][: len(titles)] == titles
    assert said in figures[len(titles) - 1].caption


def test_a_sum_with_a_distance_is_called_no_bound() -> None:
    elbo, *_ = training_curves(story(Distance((5,)), ended(elbo=-11.0, rate=2.0, loss=11.0)))
    assert "no bound on log p(x): the distortion is a distance" in elbo.caption


@pytest.mark.parametrize(("loss", "titles"), [(9.0, ["Reconstruction loss"]), (9.5, ["Loss", "Reconstruction loss"])])
def test_a_plain_autoencoder_that_pays_for_more_shows_its_loss(loss: float, titles: list[str]) -> None:
    figures = training_curves(story(TinyModel((5,), prior=False), ended(elbo=-9.0, loss=loss)))
    assert [figure.title for figure in figures] == titles


@pytest.mark.usefixtures("without_matplotlib")
def test_a_denoising_model_shows_original_corrupted_and_output(tmp_path: Path) -> None:
    data = tiny_data((1, 8, 8))
    page = report(tmp_path / "a", TinyModel((1, 8, 8), denoising=True), data)
    report(tmp_path / "b", TinyModel((1, 8, 8), denoising=True), data)
    report(tmp_path / "c", TinyModel((1, 8, 8)), data)
    assert "original, corrupted, output" in page.text
    a, b, c = ((tmp_path / name / "figures" / "reconstructions.png").read_bytes() for name in "abc")
    assert a == b
    assert Image.open(io.BytesIO(a)).height > Image.open(io.BytesIO(c)).height


@pytest.mark.usefixtures("without_matplotlib")
def test_binary_draws_are_told_from_the_stored_values(tmp_path: Path) -> None:
    data = tiny_data((1, 8, 8))
    assert "made binary" in report(tmp_path, TinyModel((1, 8, 8)), data.binarized("dynamic")).text
    assert "made binary" not in report(tmp_path, TinyModel((1, 8, 8)), data).text


def test_tables_get_lines_histograms_and_agreement(tmp_path: Path) -> None:
    data = tiny_data((5,), kind="real", columns=("age", "_x", EVIL, "$a$", "height"))
    page = report(tmp_path, TinyModel((5,)), data)
    assert figure_names(tmp_path) == CURVES | ALWAYS | {"samples", "reconstructions-agreement", "kl-per-dimension"}
    assert "One panel for each column" in page.text
    assert "Noise of p(x|z) is drawn too." in page.text
    assert "standard deviations of the training data" in page.text


def test_signals_get_lines(tmp_path: Path) -> None:
    page = report(tmp_path, TinyModel((2, 30), 2), tiny_data((2, 30)))
    assert figure_names(tmp_path) >= ALWAYS | {"samples", "reconstructions-agreement"}
    assert "Left: originals. Right: samples" in page.text
    assert "standard deviations of the training data" not in page.text


@pytest.mark.parametrize(
    ("shape", "latent_dim", "count"),
    [
        ((1, 8, 8), 1, 40),
        ((1, 28, 28), 40, 40),
        ((1, 8, 8), 3, 1),
        ((7,), 1, 1),
        ((2, 4, 4), 3, 2),
        ((2, 2, 2, 2), 3, 5),
    ],
)
def test_any_size_of_data_and_latent_space_makes_a_report(
    tmp_path: Path, shape: Shape, latent_dim: int, count: int
) -> None:
    model, data = TinyModel(shape, latent_dim), tiny_data(shape, count)
    page = report(tmp_path, model, data, metrics=[], evaluation={})
    assert {"reconstructions", "samples", "traversals", "latent-map", "kl-per-dimension"} <= figure_names(tmp_path)
    assert ("interpolations" in figure_names(tmp_path)) == (count > 1)
    assert "No training steps were recorded." in page.text
    assert "not been evaluated yet" in page.text


@pytest.mark.usefixtures("without_matplotlib")
@pytest.mark.slow
def test_large_noisy_color_images_keep_the_page_small(tmp_path: Path) -> None:
    report(tmp_path, TinyModel((3, 64, 48), 40), tiny_data((3, 64, 48)))
    assert (tmp_path / "report.html").stat().st_size < 3e6


def test_traversals_and_bars_are_sorted_by_kl() -> None:
    model, data = TinyModel((1, 8, 8), 20), tiny_data((1, 8, 8))
    subject = look_at(model, data, evaluation_of(20))
    assert subject.kl is not None
    values = [float(subject.kl[dim]) for dim in subject.order]
    assert values == sorted(values, reverse=True)
    assert subject.order[:3] == [6, 13, 5]
    assert subject.dim_label(6) == "z6 · 6.00 nats"
    sections = {section.name: section for section in draw_sections(subject, [])}
    assert "The first 16 of 20 dimensions are shown." in sections["traversals"].figures[0].caption
    assert "the largest is z6 with 6.00 nats" in sections["kl"].figures[0].alt


def test_missing_kl_is_taken_from_a_trace() -> None:
    subject = look_at(TinyModel((1, 8, 8), 4), tiny_data((1, 8, 8)), {"kl_per_dim": [1.0]})
    assert subject.order == [3, 2, 1, 0]


def test_kl_that_does_not_split_gives_way_to_the_spread_of_the_codes() -> None:
    subject = look_at(TinyModel((1, 8, 8), 4, joint=True), tiny_data((1, 8, 8)), {})
    assert subject.kl is None
    assert subject.order == subject.spread.argsort(descending=True).tolist()
    assert subject.dim_label(0).startswith("z0 · spread ")
    (kl,) = [section for section in draw_sections(subject, []) if section.name == "kl"]
    assert "does not split" in kl.note


def test_the_items_shown_follow_from_the_seed() -> None:
    model, data = TinyModel((1, 8, 8)), tiny_data((1, 8, 8), 100)
    first, again, other = (look_at(model, data, {}, seed).items for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_an_empty_test_split_gives_way_to_another_and_no_data_is_an_error() -> None:
    data = tiny_data((1, 8, 8), 5)
    nothing = data.test.take(torch.arange(0))
    subject = look_at(TinyModel((1, 8, 8)), Data(data.train, nothing, nothing), {})
    assert len(subject.codes) == 5
    told = " ".join(figure.title + figure.caption for one in draw_sections(subject, []) for figure in one.figures)
    assert "Training items, and what the model makes" in told
    assert "averaged over training items" in told
    assert "test " not in told.lower()
    with pytest.raises(DataError, match="no example"):
        look_at(TinyModel((1, 8, 8)), Data(nothing, nothing, nothing), {})


@pytest.mark.usefixtures("without_matplotlib")
def test_writing_again_leaves_no_old_figure_and_the_model_as_it_was(tmp_path: Path) -> None:
    model, data = TinyModel((1, 8, 8), 2), tiny_data((1, 8, 8))
    model.train()
    random = torch.get_rng_state()
    report(tmp_path, model, data)
    assert (tmp_path / "figures" / "latent-plane.png").exists()
    report(tmp_path, TinyModel((1, 8, 8), 3), data)
    assert figure_names(tmp_path) == PICTURES
    assert model.training
    assert torch.equal(torch.get_rng_state(), random)
    assert not list(tmp_path.rglob(".*"))
