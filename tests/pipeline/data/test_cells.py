"""What cells say: one rule of what is missing, the same of CSV and Parquet."""

from __future__ import annotations

import decimal
import logging
from pathlib import Path

import pandas as pd
import pytest

from pipeline import datasets
from pipeline.config import Binary, Classes, Data, Regression
from pipeline.data import cells
from pipeline.training.loading import default_experiment
from pipeline.utils.errors import RequestError
from tests.conftest import with_stage, write_picture

NOTHING = ("", "NA", "n/a", "N/A", "<NA>", "NaN", "nan", "null", "NULL", "None", "none", "unknown", "Missing", "?", "-")


def written(folder: Path, table: pd.DataFrame) -> tuple[Data, Data]:
    """The table as CSV and as Parquet, with pictures."""
    for name in table["path"].dropna():
        write_picture(folder / name, seed=len(name), size=16)
    table.to_csv(folder / "faces.csv", index=False)
    table.to_parquet(folder / "faces.parquet")
    return tuple(Data("csv", root=str(folder / f"faces.{form}"), classes=("smile",)) for form in ("csv", "parquet"))


def test_what_stands_for_nothing_is_missing_in_labels_and_numbers_only(tmp_path: Path, caplog) -> None:
    names = [f"p{i}.jpg" for i in range(len(NOTHING) + 2)]
    labels = ["yes", "no", *NOTHING]
    table = pd.DataFrame({"path": names, "subject": ["a", "b", *NOTHING], "smile": labels, "note": labels})
    table = table.assign(age=["20", "30", *NOTHING], gender=["male", "f", *NOTHING])
    table = table.assign(**{side: ["1", "2", *NOTHING] for side in "xywh"})
    for data in written(tmp_path, table):
        caplog.clear()
        (age, gender, smile) = datasets.offered(data)
        assert (age, gender, smile) == (Regression("age"), Binary("gender"), Classes("smile", ("no", "yes")))
        rows = datasets.load(data)
        for name in ("age", "gender", "smile", "x"):
            assert rows[name].notna().tolist() == [True, True] + [False] * len(NOTHING)
        for name in ("subject", "note"):
            assert rows[name].tolist()[3:] == list(NOTHING[1:])
            assert pd.isna(rows[name][2])
        assert "smile: 14 cells count as unknown" in caplog.text and "1 'none'" in caplog.text
        assert "not an age" not in caplog.text and "not a number" not in caplog.text


def test_a_path_may_be_called_na(tmp_path: Path) -> None:
    write_picture(tmp_path / "x.jpg", size=16).rename(tmp_path / "NA")
    (tmp_path / "faces.csv").write_text("path,age\nNA,20\n,30\n")
    assert datasets.load(Data("csv", root=str(tmp_path / "faces.csv")))["age"].tolist() == [20]


def test_minus_one_is_a_class_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = pd.DataFrame({"path": ["a.jpg", "b.jpg", "c.jpg", "d.jpg"], "smile": [-1, 1, -1, None]})
    for data in written(tmp_path, table):
        caplog.clear()
        assert datasets.offered(data) == (Classes("smile", ("-1", "1")),)
        assert datasets.load(data)["smile"].tolist()[:3] == ["-1", "1", "-1"]
        assert "smile: 2 cells '-1' are a class" in caplog.text


@pytest.mark.parametrize(
    ("smile", "text"),
    [
        ([0.0, 1.0, None], ["0", "1", None]),
        (["0.0", "1", "N/A"], ["0", "1", None]),
        (pd.array([0, 1, None], "Int64"), ["0", "1", None]),
        ([decimal.Decimal("0.00"), decimal.Decimal("1.00"), None], ["0", "1", None]),
        ([0.0, 0.5, None], ["0.0", "0.5", None]),
        (["1.0", "v1", None], ["1.0", "v1", None]),
        ([True, False, None], ["True", "False", None]),
        (pd.Categorical(["a ", "b", None]), ["a", "b", None]),
        (["007", "8.0", ""], ["007", "8", None]),
        (["Zoe\u0308", "b", None], ["Zo\xeb", "b", None]),
    ],
    ids=str,
)
def test_csv_and_parquet_give_the_same(smile: object, text: list[str | None], tmp_path: Path) -> None:
    table = pd.DataFrame({"path": ["a.jpg", "b.jpg", "c.jpg"]}).assign(smile=smile, subject=smile, age=[1, 2, None])
    plain, parquet = (datasets.load(data) for data in written(tmp_path, table))
    pd.testing.assert_frame_equal(plain, parquet)
    assert [None if pd.isna(value) else value for value in plain["smile"]] == text


def test_an_index_of_parquet_is_a_column(tmp_path: Path) -> None:
    table = pd.DataFrame({"path": [write_picture(tmp_path / "a.jpg", size=16).name], "age": [3]})
    table.set_index("path").to_parquet(tmp_path / "faces.parquet")
    assert datasets.load(Data("csv", root=str(tmp_path / "faces.parquet")))["age"].tolist() == [3]


def test_whole_numbers_beyond_a_floats_precision_stay_apart(tmp_path: Path) -> None:
    table = pd.DataFrame({"path": ["a.jpg", "b.jpg", "c.jpg"], "age": 3, "smile": "x"})
    table["subject"] = pd.array([2**60, 2**60 + 1, None], "Int64")
    for data in written(tmp_path, table):
        assert datasets.load(data)["subject"].tolist()[:2] == [str(2**60), str(2**60 + 1)]


def test_labels_that_pandas_made_floats_are_the_classes_of_training(tmp_path: Path) -> None:
    pictures = [write_picture(tmp_path / f"{i}.jpg", seed=i, size=16).name for i in range(4)]
    pd.DataFrame({"path": pictures, "smile": [0, 1, 1, 0]}).to_csv(tmp_path / "train.csv", index=False)
    pd.DataFrame({"path": pictures, "smile": [0, 1, None, 0]}).to_csv(tmp_path / "other.csv", index=False)
    for one, other in (("train", "other"), ("other", "train")):
        train, judged = (Data("csv", root=str(tmp_path / f"{name}.csv"), classes=("smile",)) for name in (one, other))
        (target,) = datasets.resolve(with_stage(default_experiment("mobilenetv2"), data=train)).targets
        assert datasets.strange_labels(target, judged, datasets.load(judged)) == ("", False)


@pytest.mark.parametrize("columns", [{"path": "image"}, None])
def test_embedded_images_are_refused_in_a_line(columns: dict[str, str] | None, tmp_path: Path) -> None:
    image = [{"bytes": b"\xff\xd8" * 5000, "path": None}] * 2
    pd.DataFrame({"image": image, "age": [3, 4]}).to_parquet(tmp_path / "faces.parquet")
    with pytest.raises(RequestError, match=r"column 'image' holds bytes.* not read yet") as error:
        datasets.load(Data("csv", root=str(tmp_path / "faces.parquet"), columns=columns))
    assert len(str(error.value)) < 300 + len(str(tmp_path))


def test_embedded_images_beside_paths_do_no_harm(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg", size=16)
    pd.DataFrame({"path": ["a.jpg"], "image": [b"\xff\xd8"], "age": [3]}).to_parquet(tmp_path / "faces.parquet")
    assert "image" not in datasets.load(Data("csv", root=str(tmp_path / "faces.parquet")))


def test_long_cells_are_cut_in_messages(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    long = "x" * 5000
    write_picture(tmp_path / "a.jpg", size=16)
    text = f"path,age,gender,smile\na.jpg,{long},{long},{long}\n{long}.jpg,3,male,b\n"
    (tmp_path / "faces.csv").write_text(text)
    with caplog.at_level(logging.WARNING):
        datasets.load(Data("csv", root=str(tmp_path / "faces.csv"), classes=("smile",)))
    assert len(caplog.messages) == 3
    assert all(len(message) < 400 for message in caplog.messages)


def test_what_is_shown_of_a_cell_has_its_ends() -> None:
    assert cells.shown("a" * 80) == "a" * 80
    assert cells.shown("b" + "a" * 98 + "c") == "b" + "a" * 39 + "…" + "a" * 38 + "c"
    assert cells.joined(range(25)).endswith("18, 19 … (25 in all)")
