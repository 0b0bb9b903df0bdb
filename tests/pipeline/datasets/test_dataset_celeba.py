"""CelebA: the authors' files, the copies in CSV form and tensorflow-datasets say the same; damaged lists."""

from __future__ import annotations

import importlib.resources.abc
import logging
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from pipeline import datasets
from pipeline.config import Binary, Data
from pipeline.utils.errors import RequestError
from tests.conftest import write_picture

HEADER = (
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair "
    "Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones Male "
    "Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks "
    "Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace "
    "Wearing_Necktie Young"
)
NAMES = HEADER.split()
PICTURES = [f"{i:06}.jpg" for i in range(1, 7)]
SPLITS = [0, 0, 0, 1, 2, 2]
PERSONS = [2880, 2937, 8692, 5805, 9295, 9295]
ATTRIBUTES, PARTITION, IDENTITY = "list_attr_celeba.txt", "list_eval_partition.txt", "identity_CelebA.txt"


def value(picture: int, attribute: int) -> int:
    """Some pattern in which no two of the 40 columns that a test looks at are the same."""
    return 1 if (picture + 1) * (attribute + 3) % 7 < 3 else -1


VALUES = [[value(i, j) for j in range(len(NAMES))] for i in range(len(PICTURES))]
GENDERS = ["male" if row[NAMES.index("Male")] == 1 else "female" for row in VALUES]


def write_lists(root: Path) -> Path:
    """The authors' three lists."""
    root.mkdir(parents=True, exist_ok=True)
    rows = [f"{name} " + " ".join(f"{v:2}" for v in row) + "\n" for name, row in zip(PICTURES, VALUES, strict=True)]
    (root / ATTRIBUTES).write_text(f"{len(PICTURES)}\n{HEADER} \n" + "".join(rows))
    for name, column in ((PARTITION, SPLITS), (IDENTITY, PERSONS)):
        (root / name).write_text("".join(f"{p} {v}\n" for p, v in zip(PICTURES, column, strict=True)))
    return root


def write_pictures(folder: Path) -> None:
    for i, name in enumerate(PICTURES):
        write_picture(folder / name, seed=i, size=16)


def write_files(root: Path) -> Path:
    """The authors' form."""
    write_pictures(root / "img_align_celeba")
    return write_lists(root)


def write_csv(root: Path) -> Path:
    """The form of data-science sites: CSV lists, a folder within a folder, no identities."""
    write_pictures(root / "img_align_celeba" / "img_align_celeba")
    table = pd.DataFrame(VALUES, columns=NAMES)
    table.insert(0, "image_id", PICTURES)
    table.to_csv(root / "list_attr_celeba.csv", index=False)
    partition = pd.DataFrame({"image_id": PICTURES, "partition": SPLITS})
    partition.to_csv(root / "list_eval_partition.csv", index=False)
    return root


def read(root: Path, source: str | None = None) -> pd.DataFrame:
    return datasets.load(Data("celeba", root=str(root), source=source))


def said(rows: pd.DataFrame) -> pd.DataFrame:
    """What the rows say, not where their pictures lie."""
    return rows.drop(columns="path")


def edit(root: Path, name: str, old: str, new: str) -> Path:
    path = root / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    return root


# -- files ------------------------------------------------------------------------------------------------------------


def test_minus_one_is_female_and_no(tmp_path: Path) -> None:
    rows = read(write_files(tmp_path))
    assert rows["gender"].tolist() == GENDERS
    for name in set(NAMES) - {"Male"}:
        column = NAMES.index(name)
        assert rows[name.lower()].tolist() == ["yes" if row[column] == 1 else "no" for row in VALUES]


def test_the_partition_is_the_split(tmp_path: Path) -> None:
    assert read(write_files(tmp_path))["split"].tolist() == ["train"] * 3 + ["val"] + ["test"] * 2


def test_an_identity_is_a_subject(tmp_path: Path) -> None:
    assert read(write_files(tmp_path))["subject"].tolist() == list(map(str, PERSONS))


def test_gender_is_its_target(tmp_path: Path) -> None:
    assert datasets.offered(Data("celeba", root=str(tmp_path))) == (Binary("gender"),)


def test_csv_copies_say_the_same_without_identities(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = read(write_files(tmp_path / "files"))
    with caplog.at_level(logging.WARNING):
        copy = read(write_csv(tmp_path / "copy"))
    pd.testing.assert_frame_equal(said(copy), said(files).assign(subject=None), check_dtype=False)
    assert "no identity_CelebA.txt" in caplog.text


def test_csv_lists_beside_identities_know_the_persons(tmp_path: Path) -> None:
    root = write_csv(tmp_path)
    write_lists(tmp_path / "lists")
    (tmp_path / "lists" / IDENTITY).rename(root / IDENTITY)
    assert read(root)["subject"].tolist() == list(map(str, PERSONS))


@pytest.mark.parametrize(
    "form",
    [
        "{} {}",
        "{},{}",
        "image_id,identity\n{},{}",
        'image_id,identity\n"{}","{}"',
        "image_id;identity;set\n{};{};a",
    ],
    ids=["spaces", "commas", "header", "quotes", "semicolons"],
)
def test_identities_in_a_csv_are_known_however_it_is_written(form: str, tmp_path: Path) -> None:
    header, _, row = form.rpartition("\n")
    lines = [header] * bool(header) + [row.format(*one) for one in zip(PICTURES, PERSONS, strict=True)]
    root = write_csv(tmp_path)
    (root / "identity_CelebA.csv").write_text("\n".join(lines) + "\n")
    assert read(root)["subject"].tolist() == list(map(str, PERSONS))


def test_the_folders_of_the_authors_are_read_as_they_are(tmp_path: Path) -> None:
    root = write_files(tmp_path)
    for place, names in {"Anno": (ATTRIBUTES, IDENTITY), "Eval": (PARTITION,), "Img": ("img_align_celeba",)}.items():
        (root / place).mkdir()
        for name in names:
            (root / name).rename(root / place / name)
    assert read(root)["subject"].tolist() == list(map(str, PERSONS))


def test_windows_line_ends_a_mark_and_spaces_change_nothing(tmp_path: Path) -> None:
    plain = read(write_files(tmp_path / "plain"))
    root = write_files(tmp_path / "with spaces")
    for name in (ATTRIBUTES, PARTITION, IDENTITY):
        (root / name).write_bytes(b"\xef\xbb\xbf" + (root / name).read_bytes().replace(b"\n", b"\r\n"))
    pd.testing.assert_frame_equal(said(read(root)), said(plain))


def test_names_in_another_case_are_found(tmp_path: Path) -> None:
    root = write_files(tmp_path)
    for name in (ATTRIBUTES, PARTITION, IDENTITY, "img_align_celeba"):
        (root / name).rename(root / name.upper())
    assert len(read(root)) == len(PICTURES)


# -- files that are damaged -------------------------------------------------------------------------------------------


def test_a_count_that_differs_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = edit(write_files(tmp_path), ATTRIBUTES, "6\n", "202599\n")
    with caplog.at_level(logging.WARNING):
        assert len(read(root)) == 6
    assert "line 1 says 202599 pictures, 6 whole rows follow" in caplog.text


@pytest.mark.parametrize("name", [ATTRIBUTES, PARTITION])
def test_a_list_cut_in_a_row_loses_that_row_and_says_so(name: str, tmp_path: Path, caplog) -> None:
    path = write_files(tmp_path) / name
    path.write_text(path.read_text()[:-3])
    with caplog.at_level(logging.WARNING):
        assert len(read(tmp_path)) == 5
    assert f"{path}: 1 rows do not have" in caplog.text
    assert "1 pictures are only in one of" in caplog.text


@pytest.mark.parametrize("name", ["list_attr_celeba.csv", "list_eval_partition.csv"])
def test_a_csv_list_cut_in_a_row_loses_that_row_and_says_so(name: str, tmp_path: Path, caplog) -> None:
    path = write_csv(tmp_path) / name
    path.write_text(path.read_text()[:-3])
    with caplog.at_level(logging.WARNING):
        assert len(read(tmp_path)) == 5
    assert f"{path}: 1 of 6 rows do not have" in caplog.text


def test_a_picture_without_a_person_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = edit(write_files(tmp_path), IDENTITY, "000002.jpg 2937\n", "")
    with caplog.at_level(logging.WARNING):
        assert read(root)["subject"].isna().tolist() == [False, True, False, False, False, False]
    assert "1 of 6 pictures have no person" in caplog.text


def test_a_picture_listed_twice_is_one_row(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_files(tmp_path) / PARTITION
    path.write_text(path.read_text() + "000002.jpg 2\n")
    with caplog.at_level(logging.WARNING):
        assert read(tmp_path)["split"].tolist() == ["train"] * 3 + ["val"] + ["test"] * 2
    assert "1 of 7 rows" in caplog.text


def test_pictures_that_are_gone_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (write_files(tmp_path) / "img_align_celeba" / PICTURES[0]).unlink()
    with caplog.at_level(logging.WARNING):
        assert len(read(tmp_path)) == 5
    assert "1 of 6 listed pictures are not there" in caplog.text


def test_lists_of_other_pictures_are_an_error(tmp_path: Path) -> None:
    path = write_files(tmp_path) / PARTITION
    path.write_text(path.read_text().replace("0000", "9999"))
    with pytest.raises(RequestError, match=r"list_attr_celeba\.txt and .*list_eval_partition\.txt have no picture"):
        read(tmp_path)


@pytest.mark.parametrize("text", ["<!DOCTYPE html>\n<html>\n</html>\n", "6\n", "6\nBald Young\n000001.jpg 1 1\n"])
def test_a_list_of_attributes_that_is_none_is_an_error(text: str, tmp_path: Path) -> None:
    (write_files(tmp_path) / ATTRIBUTES).write_text(text)
    with pytest.raises(RequestError, match=r"list_attr_celeba\.txt: expected a count on line 1"):
        read(tmp_path)


@pytest.mark.parametrize("name", [ATTRIBUTES, PARTITION, IDENTITY])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04\xff\xfe"])
def test_a_list_that_is_empty_or_no_text_is_named(name: str, content: bytes, tmp_path: Path) -> None:
    (write_files(tmp_path) / name).write_bytes(content)
    with pytest.raises(RequestError, match=name):
        read(tmp_path)


@pytest.mark.parametrize("name", [ATTRIBUTES, PARTITION, "img_align_celeba"])
def test_what_is_missing_is_named(name: str, tmp_path: Path) -> None:
    root = write_files(tmp_path)
    (root / name).rename(root / "elsewhere")
    with pytest.raises(RequestError, match=f"holds no {name}"):
        read(root)


def test_an_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    (write_lists(tmp_path) / "img_align_celeba.zip").write_bytes(b"PK")
    with pytest.raises(RequestError, match=r"unpack img_align_celeba\.zip"):
        read(tmp_path)


def test_an_empty_root_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"holds no list_attr_celeba\.txt or list_attr_celeba\.csv"):
        read(tmp_path)


# -- tensorflow-datasets ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files in the authors' form, and under tfds/ what tensorflow-datasets makes of them."""
    import tensorflow_datasets as tfds

    root = write_files(tmp_path_factory.mktemp("celeba"))
    points = " ".join(["0"] * 10)
    header = "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y"
    (root / "landmarks.txt").write_text(f"6\n{header}\n" + "".join(f"{name} {points}\n" for name in PICTURES))
    lists = {
        "img_align_celeba": root / "img_align_celeba",
        "landmarks_celeba": root / "landmarks.txt",
        "list_eval_partition": root / PARTITION,
        "list_attr_celeba": root / ATTRIBUTES,
        "identity_celeba": root / IDENTITY,
    }

    def files(_: object, folder: Path) -> Iterator[tuple[str, object]]:
        return ((path.name, path.open("rb")) for path in Path(folder).iterdir())

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "importlib_resources", importlib.resources)  # which tfds 4.9.10 forgets to require
        patch.setattr(tfds.download.DownloadManager, "download", lambda *_: lists)
        patch.setattr(tfds.download.DownloadManager, "iter_archive", files)
        (root / "tfds").mkdir()
        tfds.builder("celeb_a", data_dir=root / "tfds").download_and_prepare()
    return root


def by_bytes(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows by what is in their pictures."""
    return rows.assign(path=[Path(path).read_bytes() for path in rows["path"]]).sort_values("path", ignore_index=True)


def test_tfds_says_the_same_as_the_files_of_the_same_bytes(prepared: Path) -> None:
    files, tfds = read(prepared), read(prepared / "tfds", "tfds")
    pd.testing.assert_frame_equal(by_bytes(tfds), by_bytes(files), check_dtype=False)


def test_tfds_writes_pictures_once(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.datasets import celeba

    first = read(prepared / "tfds", "tfds")
    monkeypatch.setattr(celeba, "_examples", lambda folder: pytest.fail("read again"))
    pd.testing.assert_frame_equal(read(prepared / "tfds", "tfds"), first)


def test_tfds_goes_on_where_it_was_stopped(prepared: Path) -> None:
    first = read(prepared / "tfds", "tfds")
    (prepared / "tfds" / "celeb_a_pictures" / "manifest.csv").unlink()
    Path(first["path"][0]).unlink()
    pd.testing.assert_frame_equal(read(prepared / "tfds", "tfds"), first)


def test_all_three_forms_have_the_same_columns(tmp_path: Path) -> None:
    import tensorflow_datasets as tfds

    with tfds.testing.mock_data(num_examples=2):
        mocked = read(tmp_path, "tfds")
    assert len(mocked) == 6
    assert list(mocked) == list(read(write_files(tmp_path))) == list(read(write_csv(tmp_path / "copy")))


def test_tfds_without_prepared_data_says_how_to_prepare_them(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"holds no celeb_a .*builder\('celeb_a', data_dir='.*download_and_prepare"):
        read(tmp_path, "tfds")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damaged", ["dataset_info.json", "celeb_a-train.tfrecord-00000-of-00001"])
def test_tfds_with_damaged_data_says_how_to_prepare_them(damaged: str, prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared / "tfds" / "celeb_a", tmp_path / "celeb_a")
    path = tmp_path / "celeb_a" / "2.1.0" / damaged
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(RequestError, match=r"holds no celeb_a .*download_and_prepare"):
        read(tmp_path, "tfds")
