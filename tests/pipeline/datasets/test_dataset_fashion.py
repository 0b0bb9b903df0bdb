"""Fashion: six targets named by the list of attributes, labels in step with the pictures; damaged lists."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from pipeline import datasets
from pipeline.config import Classes, Data
from pipeline.utils.errors import RequestError
from tests.conftest import write_picture

CLASSES = {
    "pattern": ("floral", "graphic", "striped", "embroidered", "pleated", "solid color", "lattice"),
    "sleeve": ("long_sleeve", "short_sleeve", "sleeveless"),
    "length": ("maxi_length", "mini_length", "no_dress"),
    "neckline": ("crew_neckline", "v_neckline", "square_neckline", "no_neckline"),
    "material": ("denim", "chiffon", "cotton", "leather", "faux", "knit"),
    "fit": ("tight", "loose", "conventional"),
}
ATTRIBUTES = "split/list_attr_cloth.txt"


def write_fashion(root: Path) -> Path:
    """Four training pictures, two of validation, two of test, in the true format."""
    (root / "split").mkdir(parents=True)
    names = [f"{name}   {i}" for i, classes in enumerate(CLASSES.values(), start=1) for name in classes]
    (root / ATTRIBUTES).write_text("\n".join(["26", "attribute_name  attribute_type", *names]) + "\n")
    for split, numbers in {"train": range(4), "val": range(4, 6), "test": range(6, 8)}.items():
        pictures = [f"img/{i:05}.jpg" for i in numbers]
        for i, picture in zip(numbers, pictures, strict=True):
            write_picture(root / picture, seed=i, size=16)
        (root / f"split/{split}.txt").write_text("\n".join(["picture_filename", *pictures]) + "\n")
    header = "category1 category2 category3 category4 category5 category6\n"
    (root / "split/train_attr.txt").write_text(header + "5 0 2 1 2 2\n0 2 0 3 0 0\n6 1 2 3 5 2\n5 0 2 1 2 2\n")
    (root / "split/val_attr.txt").write_text(header + "3 0 1 2 4 1\n5 0 2 1 2 2\n")
    return root


def read(root: Path):
    return datasets.load(Data("fashion", root=str(root)))


def edit(root: Path, name: str, old: str, new: str) -> Path:
    path = root / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    return root


def test_each_category_is_a_target_with_the_names_of_the_list(tmp_path: Path) -> None:
    data = Data("fashion", root=str(write_fashion(tmp_path)))
    assert datasets.offered(data) == tuple(Classes(name, classes) for name, classes in CLASSES.items())


def test_numbers_count_within_the_category(tmp_path: Path) -> None:
    first = read(write_fashion(tmp_path)).iloc[0]
    said = [first[name] for name in CLASSES]
    assert said == ["solid color", "long_sleeve", "no_dress", "v_neckline", "cotton", "conventional"]


def test_the_lists_are_the_split(tmp_path: Path) -> None:
    rows = read(write_fashion(tmp_path))
    assert rows["split"].tolist() == ["train"] * 4 + ["val"] * 2 + ["test"] * 2


def test_test_rows_have_no_labels(tmp_path: Path) -> None:
    rows = read(write_fashion(tmp_path))
    assert rows[list(CLASSES)].isna().all(axis="columns").tolist() == [False] * 6 + [True] * 2


def test_windows_line_ends_a_mark_and_spaces_change_nothing(tmp_path: Path) -> None:
    plain = read(write_fashion(tmp_path / "plain"))
    root = write_fashion(tmp_path / "with spaces")
    for path in (root / "split").iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read(root).drop(columns="path").equals(plain.drop(columns="path"))


def test_pictures_in_another_case_are_found(tmp_path: Path) -> None:
    root = write_fashion(tmp_path)
    for path in list((root / "img").iterdir()):
        path.rename(path.with_suffix(".JPG"))
    assert len(read(root)) == 8


def test_numbers_that_are_no_class_are_unknown_and_counted(tmp_path: Path, caplog) -> None:
    root = edit(write_fashion(tmp_path), "split/train_attr.txt", "0 2 0 3 0 0", "7 2 -1 3 0 0")
    with caplog.at_level(logging.WARNING):
        rows = read(root)
    assert rows.loc[1, ["pattern", "length"]].isna().all()
    assert caplog.text.count("1 count as unknown") == 2


def test_pictures_that_are_gone_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_fashion(tmp_path)
    (root / "img/00001.jpg").unlink()
    with caplog.at_level(logging.WARNING):
        assert len(read(root)) == 7
    assert "1 of 8 listed pictures are not there" in caplog.text


@pytest.mark.parametrize("cut", ["5 0 2 1 2 2\n", " 2 2\n"])
def test_lists_out_of_step_are_an_error_with_both_counts(cut: str, tmp_path: Path) -> None:
    root = write_fashion(tmp_path)
    path = root / "split/train_attr.txt"
    path.write_text(path.read_text().removesuffix(cut))
    with pytest.raises(RequestError, match=r"train.txt has 4 rows and .*train_attr.txt has 3"):
        read(root)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("26\n", "27\n"),  # a row is missing
        ("conventional   6\n", "conventional"),  # cut in the middle of a row
        ("tight   6", "tight   7"),
        ("26\n", "<!DOCTYPE html>\n"),
    ],
)
def test_a_mangled_list_of_attributes_is_an_error(old: str, new: str, tmp_path: Path) -> None:
    root = edit(write_fashion(tmp_path), ATTRIBUTES, old, new)
    with pytest.raises(RequestError, match=r"list_attr_cloth.txt: expected a count on line 1"):
        read(root)


def test_a_class_named_twice_is_an_error(tmp_path: Path) -> None:
    root = edit(write_fashion(tmp_path), ATTRIBUTES, "loose ", "tight ")
    with pytest.raises(RequestError, match=r"list_attr_cloth\.txt: classes of fit"):
        read(root)


LISTS = [ATTRIBUTES, "split/train.txt", "split/val.txt", "split/test.txt", "split/train_attr.txt", "split/val_attr.txt"]


@pytest.mark.parametrize("missing", LISTS)
def test_a_missing_list_is_named(missing: str, tmp_path: Path) -> None:
    (write_fashion(tmp_path) / missing).unlink()
    with pytest.raises(RequestError, match=missing):
        read(tmp_path)


@pytest.mark.parametrize("name", LISTS)
def test_an_empty_list_is_named(name: str, tmp_path: Path) -> None:
    (write_fashion(tmp_path) / name).write_text("")
    with pytest.raises(RequestError, match=name):
        read(tmp_path)


def test_a_list_that_is_only_a_header_is_named(tmp_path: Path) -> None:
    (write_fashion(tmp_path) / "split/test.txt").write_text("picture_filename\n")
    with pytest.raises(RequestError, match=r"split/test\.txt has a header and no rows"):
        read(tmp_path)


def test_an_empty_root_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"holds no split/list_attr_cloth\.txt"):
        read(tmp_path)


def test_an_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    (tmp_path / "FashionDataset.zip").write_bytes(b"PK")
    with pytest.raises(RequestError, match=r"unpack FashionDataset\.zip"):
        read(tmp_path)
