"""Several observations of each example: how they are found, what is missing, and what is refused."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from reparam.data import hide, load_data, load_items
from reparam.data.arm import poses, uniform
from reparam.errors import DataError

N = 40


def arrays(seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 256, (N, 6, 5)).astype(np.uint8)
    joints = rng.normal(size=(N, 3)) * [1.0, 10.0, 100.0] + 5
    joints[::4] = np.nan
    return {"depth": pictures, "joints": joints, "labels": np.array(["a", "b"])[rng.integers(0, 2, N)]}


def test_arrays_lie_side_by_side() -> None:
    given = arrays()
    data = load_data(given, observations=("depth", "joints", "labels"))
    spec = data.spec
    assert [(one.name, one.shape, one.kind) for one in spec.observations] == [
        ("depth", (1, 6, 5), "unit"),
        ("joints", (3,), "real"),
        ("labels", (2,), "classes"),
    ]
    assert spec.shape == (35,)
    assert spec.places == {"depth": slice(0, 30), "joints": slice(30, 33), "labels": slice(33, 35)}
    items = load_items(given, spec=spec).batch(slice(None)).x
    assert torch.equal(items[:, :30], torch.from_numpy(given["depth"].reshape(N, -1) / np.float32(255)))
    assert np.allclose(items[:, 30:33], given["joints"], equal_nan=True)
    assert items[:, 33:].argmax(1).tolist() == [{"a": 0, "b": 1}[label] for label in given["labels"]]
    train = data.train.batch(slice(None)).x[:, 30:33].numpy()
    assert np.allclose(spec.observations[1].shift, np.nanmean(train, 0), rtol=1e-5)
    assert np.allclose(spec.observations[1].scale, np.nanstd(train, 0), rtol=1e-5)


def test_files_hold_them_too(tmp_path: Path) -> None:
    given = arrays()
    np.savez(tmp_path / "both.npz", **given)
    np.savez(
        tmp_path / "parts.npz",
        **{f"{name}_{split}": values for name, values in given.items() for split in ("train", "test")},
        notes=np.zeros(3),
    )
    names = ("depth", "joints")
    assert load_data(tmp_path / "both.npz", observations=names).spec.shape == (33,)
    parts = load_data(tmp_path / "parts.npz", observations=names)
    assert (len(parts.test), len(parts.train) + len(parts.validation)) == (N, N)
    rows = [f"{i},{i / 2},{-i},{['u', 'v'][i % 2]}" for i in range(12)]
    (tmp_path / "table.csv").write_text("\n".join(["one_1,one_2,two,class", *rows]))
    table = load_data(tmp_path / "table.csv", observations=("one", "two", "labels"))
    assert [one.shape for one in table.spec.observations] == [(2,), (1,), (2,)]


def test_a_data_set_and_its_labels() -> None:
    data = load_data("digits", observations=("x", "labels"), labelled=20, limit=300)
    spec = data.spec
    assert [one.name for one in spec.observations] == ["x", "labels"]
    x = data.train.batch(slice(None)).x
    labels = x[:, spec.places["labels"]]
    assert data.train.labels is not None
    known = data.train.labels >= 0
    assert torch.equal(labels.isnan().all(1), ~known)
    assert torch.equal(labels[known].argmax(1), data.train.labels[known])
    assert not data.test.batch(slice(None)).x.isnan().any()


def test_hiding_is_seeded_and_leaves_something() -> None:
    data = load_data(arrays(), observations=("depth", "joints"))
    hidden = hide(data.train, {"joints": 0.5, "depth": 0.5}, seed=3)
    again = hide(data.train, {"joints": 0.5, "depth": 0.5}, seed=3)
    x = hidden.batch(slice(None)).x
    assert torch.equal(x.nan_to_num(9.0), again.batch(slice(None)).x.nan_to_num(9.0))
    assert (~x.isnan()).any(1).all()
    gone = x[:, :30].isnan().all(1).float().mean()
    assert 0.1 < gone < 0.6  # half of those that have joints
    loaded = load_data(arrays(), observations=("depth", "joints"), hidden={"joints": 1.0})
    assert loaded.train.batch(slice(None)).x[:, 30:].isnan().all()
    assert not loaded.test.batch(slice(None)).x[:, 30:].isnan().all()


@pytest.mark.parametrize(
    ("change", "names", "said"),
    [
        ({}, ("depth",), "at least two"),
        ({}, ("depth", "depth"), "each once"),
        ({}, ("depth", "sound"), "no observation 'sound'"),
        ({"joints": np.zeros((N - 1, 3))}, ("depth", "joints"), "39 examples"),
        ({"joints": np.full((N, 3), np.inf)}, ("depth", "joints"), "infinite"),
        ({"joints": np.full((N, 3), np.nan)}, ("depth", "joints"), "missing in all"),
        ({"joints": np.array([["a"] * 3] * N)}, ("depth", "joints"), "expected numbers"),
    ],
)
def test_what_does_not_fit_gets_one_sentence(change: dict[str, Any], names: tuple[str, ...], said: str) -> None:
    with pytest.raises(DataError, match=said):
        load_data(arrays() | change, observations=names)


def test_an_example_without_anything_is_refused() -> None:
    given = arrays()
    x = given["depth"].astype(float)
    x[4] = np.nan
    with pytest.raises(DataError, match="example 4"):
        load_data(given | {"depth": x}, observations=("depth", "joints"))


def test_a_model_knows_its_own() -> None:
    spec = load_data(arrays(), observations=("depth", "joints")).spec
    with pytest.raises(DataError, match="the model was made for"):
        load_items(arrays() | {"joints": np.zeros((N, 4))}, spec=spec)
    with pytest.raises(DataError, match="the model knows depth, joints"):
        load_data(arrays(), spec=spec, observations=("joints", "depth"))
    with pytest.raises(DataError, match="has no observations"):
        load_data("digits", hidden={"x": 0.5}, limit=20)


@pytest.mark.parametrize("size", [32, 64])
def test_arm_is_the_same_each_time(size: int) -> None:
    data = load_data("arm:200", size=size)
    assert [one.shape for one in data.spec.observations] == [(1, size, size), (9,)]
    assert len(data.train) + len(data.validation) + len(data.test) == 200
    rows = torch.tensor([5, 77, 5])
    first = data.train.render(rows) if data.train.render else rows
    assert torch.equal(first[0], first[2])
    assert torch.equal(data.train.render(rows[1:2])[0], first[1])  # type: ignore[misc]
    depth, joints = first[:, : size * size], first[:, size * size :]
    assert ((depth >= 0) & (depth <= 1)).all()
    assert torch.equal(joints, poses(rows)[0][:, 1:].flatten(1))


def test_arm_is_where_its_joints_are() -> None:
    """The limbs have their lengths, and the pixel of an unhidden tip sees the arm."""
    joints, bars = poses(torch.arange(4000))
    lengths = (joints[:, 1:] - joints[:, :-1]).norm(dim=-1)
    assert torch.allclose(lengths, torch.tensor([0.62, 0.5, 0.34]).expand(4000, 3), atol=1e-5)
    whole = load_items("arm:4000")
    depth = whole.batch(torch.arange(4000)).x[:, :1024].reshape(-1, 32, 32)
    tip = joints[:, 3]
    column = ((tip[:, 0] + 1.2) / 2.4 * 32).floor().long().clamp(0, 31)
    row = ((1.2 - tip[:, 1]) / 2.4 * 32).floor().long().clamp(0, 31)
    inside = (tip[:, :2].abs() < 1.15).all(1) & (bars[:, 0] >= 0.25)
    assert inside.float().mean() > 0.5
    assert (depth[torch.arange(4000), row, column][inside] > 0).float().mean() > 0.95  # a pixel in a hundred is dead


def test_uniform_numbers_look_uniform() -> None:
    u = uniform(torch.arange(200_000))
    assert abs(u.mean().item() - 0.5) < 0.003
    assert abs(u.var().item() - 1 / 12) < 0.001
    pairs = torch.corrcoef(torch.stack([u[:-1], u[1:]]))[0, 1]
    assert abs(pairs.item()) < 0.01


def test_how_many_arms() -> None:
    for wrong in ("arm:0", "arm:many", "sprites:10"):
        with pytest.raises(DataError, match="expected"):
            load_data(wrong)


@pytest.mark.data
def test_mfeat_has_six_views() -> None:
    data = load_data("mfeat")
    assert [(one.name, one.shape[0]) for one in data.spec.observations] == [
        ("fou", 76),
        ("fac", 216),
        ("kar", 64),
        ("pix", 240),
        ("zer", 47),
        ("mor", 6),
    ]
    assert data.train.labels is not None
    assert len(data.train) == 1600


def test_folders_with_matching_names(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    grey, colour = rng.integers(0, 256, (6, 4, 5), np.uint8), rng.integers(0, 256, (6, 4, 3, 3), np.uint8)
    for folder in ("grey", "colour"):
        (tmp_path / folder).mkdir()
    for number in range(6):
        if number != 2:
            Image.fromarray(grey[number]).save(tmp_path / "grey" / f"{number}.png")
        if number != 4:
            Image.fromarray(colour[number]).save(tmp_path / "colour" / f"{number}.png")
    spec = load_data(tmp_path, observations=("grey", "colour")).spec
    assert [(one.name, one.shape) for one in spec.observations] == [("grey", (1, 4, 5)), ("colour", (3, 4, 3))]
    x = load_items(tmp_path, spec=spec).batch(slice(None)).x
    assert x.isnan().all(1).tolist() == [False] * 6
    assert x[:, :20].isnan().all(1).tolist() == [False, False, True, False, False, False]
    assert x[:, 20:].isnan().all(1).tolist() == [False, False, False, False, True, False]
    assert np.allclose(x[3, :20].numpy(), grey[3].ravel() / 255, atol=1e-6)
    assert np.allclose(x[3, 20:].reshape(3, 4, 3).numpy(), colour[3].transpose(2, 0, 1) / 255, atol=1e-6)
    with pytest.raises(DataError, match="no pictures of 'depth'"):
        load_data(tmp_path, observations=("grey", "depth"))


def scans(folder: Path, joints: str) -> np.ndarray:
    """Six pictures, where the joints are (but of one), in arrays or a table, and the class of five."""
    rng = np.random.default_rng(0)
    places = rng.normal(size=(6, 3))
    for name in ("depth", "joints")[: 2 if joints == "arrays" else 1]:
        (folder / name).mkdir(parents=True)
    for number in range(6):
        Image.fromarray(rng.integers(0, 256, (4, 5), np.uint8)).save(folder / "depth" / f"{number}.png")
        if joints == "arrays" and number != 4:
            np.save(folder / "joints" / f"{number}.npy", places[number])
    if joints == "table":
        rows = [f"{i}.png,{','.join(map(str, row))}" for i, row in enumerate(places.tolist()) if i != 4]
        (folder / "joints.csv").write_text("\n".join(["file,x,y,z", *rows]))
    classes = [f"{i},{'ab'[i % 2]}" for i in range(5)]
    (folder / "labels.csv").write_text("\n".join(["name,label", *classes]))
    return places


@pytest.mark.parametrize("joints", ["arrays", "table"])
@pytest.mark.parametrize("split", ["", "train"])
def test_pictures_joints_and_class_in_a_folder(tmp_path: Path, joints: str, split: str) -> None:
    places = scans(tmp_path / split, joints)
    if split:
        scans(tmp_path / "test", joints)
    names = ("depth", "joints", "labels")
    data = load_data(tmp_path, observations=names)
    assert [(one.name, one.shape, one.kind) for one in data.spec.observations] == [
        ("depth", (1, 4, 5), "unit"),
        ("joints", (3,), "real"),
        ("labels", (2,), "classes"),
    ]
    x = load_items(tmp_path / split, spec=data.spec).batch(slice(None)).x.numpy()
    assert np.allclose(x[[0, 1, 2, 3, 5], 20:23], places[[0, 1, 2, 3, 5]], atol=1e-6)
    assert np.isnan(x[4, 20:23]).all()
    assert x[:5, 23:].argmax(1).tolist() == [0, 1, 0, 1, 0]
    assert np.isnan(x[5, 23:]).all()
    (tmp_path / split / "labels.csv").unlink()
    assert load_items(tmp_path / split, spec=data.spec).batch(slice(None)).x[:, 23:].isnan().all()


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.gz"])
@pytest.mark.parametrize("joints", ["arrays", "table"])
@pytest.mark.parametrize("wrapped", ["", "scans"])
def test_archives_hold_what_folders_hold(tmp_path: Path, ending: str, joints: str, wrapped: str) -> None:
    folder, path = tmp_path / "in", tmp_path / f"a{ending}"
    scans(folder / wrapped, joints)
    (folder / wrapped / "__MACOSX" / "joints").mkdir(parents=True)
    (folder / wrapped / "__MACOSX" / "joints" / "0.npy").write_bytes(b"no array")
    (folder / wrapped / "notes.csv").write_text("left,out")
    shutil.make_archive(str(tmp_path / "a"), {".zip": "zip", ".tar": "tar", ".tar.gz": "gztar"}[ending], folder)
    names = ("depth", "joints", "labels")
    found, same = (load_data(source, observations=names) for source in (path, folder))
    assert found.spec.observations == same.spec.observations
    for name in ("train", "validation", "test"):
        assert torch.equal(found.split(name).stored.nan_to_num(-9), same.split(name).stored.nan_to_num(-9))
    assert load_items(path, spec=found.spec).stored.isnan().any(1).tolist() == [False] * 4 + [True] * 2
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match="truncated or damaged"):
        load_data(path, observations=names)


def test_archives_hold_no_pickles_links_or_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scans(tmp_path / "in", "arrays")
    path, names = tmp_path / "a.tar.gz", ("depth", "joints")
    place = tmp_path / "in" / "joints" / "0.npy"
    np.save(place, np.array([1, "a"], object), allow_pickle=True)
    shutil.make_archive(str(tmp_path / "a"), "gztar", tmp_path / "in")
    with pytest.raises(DataError, match=r"joints/0\.npy.*never read"):
        load_data(path, observations=names)
    place.unlink()
    place.symlink_to(tmp_path / "secret.npy")
    shutil.make_archive(str(tmp_path / "a"), "gztar", tmp_path / "in")
    with pytest.raises(DataError, match="link in place of a file"):
        load_data(path, observations=names)
    place.unlink()
    (tmp_path / "in" / "labels.csv").write_text("0,a\n" * 5000)
    shutil.make_archive(str(tmp_path / "a"), "gztar", tmp_path / "in")
    monkeypatch.setattr("reparam.data.limits.MODEST_BYTES", 70_000)
    monkeypatch.setattr("reparam.data.limits.MODEST_RATIO", 2)
    with pytest.raises(DataError, match=r"labels\.csv claims .* decompression bomb"):
        load_data(path, observations=("depth", "joints", "labels"))


def test_labels_beside_folders_are_read_where_they_are_asked_for(tmp_path: Path) -> None:
    scans(tmp_path, "arrays")  # the class of one is not told
    spec = load_data(tmp_path, observations=("depth", "joints")).spec
    assert (list(spec.places), spec.classes) == (["depth", "joints"], ())


def test_folders_must_share_names(tmp_path: Path) -> None:
    for name, number in (("a", 0), ("b", 1)):
        (tmp_path / name).mkdir()
        Image.fromarray(np.full((4, 4), 9, np.uint8)).save(tmp_path / name / f"{number}.png")
    with pytest.raises(DataError, match=r"no file name is in two observations \('0' and '1'\)"):
        load_data(tmp_path, observations=("a", "b"))
    for number in (2, 3):
        Image.fromarray(np.full((4, 4), 9, np.uint8)).save(tmp_path / "a" / f"{number}.png")
    Image.fromarray(np.full((4, 4), 7, np.uint8)).save(tmp_path / "b" / "0.png")
    with pytest.warns(UserWarning, match="3 of 4 items lack one of the observations"):
        load_data(tmp_path, observations=("a", "b"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("file,x\n0.png,1\n0.jpg,2\n", r"names '0\.jpg' twice"),
        ("0.png\n1.png\n", "has one column; expected the name of a file"),
        ("0.png,up\n1.png,down\n", r"holds texts; expected numbers. Classes are told in labels\.csv"),
    ],
)
def test_bad_tables_beside_folders(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "depth").mkdir()
    Image.fromarray(np.full((4, 4), 9, np.uint8)).save(tmp_path / "depth" / "0.png")
    (tmp_path / "joints.csv").write_text(content)
    with pytest.raises(DataError, match=said):
        load_data(tmp_path, observations=("depth", "joints"))


def test_observations_are_not_binarised() -> None:
    with pytest.raises(DataError, match="observations keep their values"):
        load_data("digits", observations=("x", "labels"), binarize="threshold", limit=20)


def test_x_keeps_the_scale_that_its_source_declares() -> None:
    """Digits have 17 levels, so their largest value is 16, and x is in [0, 1]."""
    x = load_items("digits").batch(slice(None)).x.flatten(1)
    spec = load_data("digits", observations=("x", "labels")).spec
    assert torch.equal(load_items("digits", spec=spec).batch(slice(None)).x[:, :64], x)


def test_splits_with_gaps_have_one_scale(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for split, gaps in (("train", True), ("test", False)):
        for name in ("grey", "other"):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for number in range(12):
                if not (gaps and name == "grey" and number % 4 == 0):
                    Image.fromarray(rng.integers(200, 256, (5, 4)).astype(np.uint8)).save(folder / f"{number}.png")
    data = load_data(tmp_path, observations=("grey", "other"))
    for split in (data.train, data.validation, data.test):
        x = split.batch(slice(None)).x
        assert x.nan_to_num(1.0).min() > 0.7
        assert x.nan_to_num(0.0).max() > 0.9
    (tmp_path / "test" / "grey" / "0.jpg").write_bytes((tmp_path / "test" / "grey" / "1.png").read_bytes())
    with pytest.raises(DataError, match="two files grey/0"):
        load_data(tmp_path, observations=("grey", "other"))


def test_groups_of_columns_keep_apart_and_in_order(tmp_path: Path) -> None:
    rows = [[i, i + 0.5, -i, i / 4] for i in range(12)]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["x_1,x_2,y_1,y_2", *(",".join(map(str, row)) for row in rows)]))
    spec = load_data(table, observations=("x", "y")).spec
    assert [(one.name, one.shape, one.columns) for one in spec.observations] == [
        ("x", (2,), ("1", "2")),
        ("y", (2,), ("1", "2")),
    ]
    other = tmp_path / "other.csv"
    other.write_text("\n".join(["y_2,x_2,y_1,x_1", *(f"{d},{b},{c},{a}" for a, b, c, d in rows)]))
    x = load_items(other, spec=spec).batch(slice(None)).x
    assert torch.equal(x, load_items(table, spec=spec).batch(slice(None)).x)
    other.write_text("x_1,y_1,y_2\n1,2,3\n4,5,6")
    with pytest.raises(DataError, match="lacks the column '2'"):
        load_items(other, spec=spec)
    other.write_text("x_1,x_2,y_1,y_2\n1,,3,4\n4,5,6,7")
    assert load_items(other, spec=spec).batch(slice(None)).x.isnan().tolist()[0] == [False, True, False, False]
    other.write_text("depth2_1,depth_1\n1,2\n3,4")
    assert [one.shape for one in load_data(other, observations=("depth", "depth2")).spec.observations] == [(1,), (1,)]


def test_real_numbers_stay_real_for_a_model_that_knows_them() -> None:
    rng = np.random.default_rng(0)
    known = {"s": rng.normal(size=(20, 3, 10)), "t": rng.normal(size=(20, 2))}
    spec = load_data(known, observations=("s", "t")).spec
    new = {"s": rng.random((6, 3, 10)) * 250, "t": rng.random((6, 2))}
    x = load_items(new, spec=spec).batch(slice(None)).x
    assert np.allclose(x[:, :30].numpy(), new["s"].reshape(6, -1), rtol=1e-6)


def test_what_is_absent_is_missing_for_a_model_that_knows_it() -> None:
    given = arrays()
    spec = load_data(given, observations=("depth", "joints", "labels")).spec
    x = load_items({"depth": given["depth"]}, spec=spec).batch(slice(None)).x
    assert x[:, 30:].isnan().all()
    assert not x[:, :30].isnan().any()
    empty = given | {"joints": np.full((N, 3), np.nan), "labels": np.array(["", "a"] * (N // 2))}
    x = load_items(empty, spec=spec).batch(slice(None)).x
    assert x[:, 30:33].isnan().all()
    assert x[:, 33:].isnan().all(1).tolist() == [True, False] * (N // 2)


def test_labels_may_be_missing() -> None:
    for labels in (np.array([0, 1, -1, 1] * 10), np.array([0, 1, np.nan, 1] * 10), np.array(["u", "v", "", "v"] * 10)):
        given = arrays() | {"labels": labels}
        spec = load_data(given, observations=("depth", "labels")).spec
        assert len(spec.observations[1].classes) == 2
        x = load_items(given, spec=spec).batch(slice(None)).x
        assert x[:, 30:].isnan().all(1).tolist() == [False, False, True, False] * 10


def test_splits_must_match_one_by_one() -> None:
    given = {"a_train": np.zeros((20, 2)), "a_test": np.ones((5, 2))}
    with pytest.raises(DataError, match="b has 19 examples of train, a has 20"):
        load_data(given | {"b_train": np.zeros((19, 2)), "b_test": np.ones((6, 2))}, observations=("a", "b"))
    with pytest.raises(DataError, match="b has 0 examples of test"):
        load_data(given | {"b_train": np.zeros((20, 2))}, observations=("a", "b"))


def test_arms_are_for_models_of_arms() -> None:
    spec = load_data("arm:20").spec
    assert load_items("arm:8", spec=spec).spec.places == spec.places
    other = load_data(
        {"joints": np.zeros((9, 9)) + np.arange(9), "depth": np.full((9, 32, 32), 0.5)},
        observations=("joints", "depth"),
    )
    with pytest.raises(DataError, match="Take other data"):
        load_items("arm:8", spec=other.spec)
    with pytest.raises(DataError, match="says itself what is seen"):
        load_data("arm:20", observations=("joints", "foo"))


def test_data_in_memory_can_be_fitted_to_a_model() -> None:
    data = load_data(arrays(), observations=("depth", "joints"))
    again = load_data(data, spec=data.spec)
    assert torch.equal(again.test.stored.nan_to_num(9.0), data.test.stored.nan_to_num(9.0))
    hidden = load_data(data, hidden={"joints": 1.0})
    assert not hidden.origin
    with pytest.raises(DataError, match="only files of pictures are resized"):
        load_data(arrays(), observations=("depth", "joints"), size=16)


def test_a_group_column_is_the_label_where_there_is_no_other() -> None:
    given = {"x": np.arange(36.0).reshape(12, 3), "group": np.arange(12) % 3}
    assert load_data(given).spec.classes == ("0", "1", "2")
    assert load_data(given | {"y": np.arange(12) % 2}).spec.classes == ("0", "1")
