"""AFAD: labels from folders' names; editions, archives in parts, and folders that are not it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from pipeline import datasets
from pipeline.config import Data
from pipeline.utils.errors import RequestError
from tests.conftest import write_picture

PICTURES = {  # path: age and gender
    "15/111/638660-0.jpg": (15, "male"),
    "15/112/638661-0.jpg": (15, "female"),
    "40/112/100 copy.jpg": (40, "female"),
    "72/111/7-0.jpg": (72, "male"),
}


def write_afad(root: Path, *more: str) -> Path:
    for i, name in enumerate([*PICTURES, *more]):
        write_picture(root / name, seed=i, size=16)
    return root


def read(root: Path) -> dict[str, tuple[float, str]]:
    rows = datasets.load(Data("afad", root=str(root)))
    return {"/".join(Path(r.path).parts[-3:]): (r.age, r.gender) for r in rows.itertuples()}


def test_folders_say_age_and_gender(tmp_path: Path) -> None:
    assert read(write_afad(tmp_path)) == PICTURES


def test_nobody_is_known_by_name(tmp_path: Path) -> None:
    assert datasets.load(Data("afad", root=str(write_afad(tmp_path))))["subject"].isna().all()


@pytest.mark.parametrize("edition", ["AFAD-Full", "AFAD-Lite", "afad-lite"])
def test_the_one_edition_in_the_root_is_read_and_named(edition: str, tmp_path: Path, caplog) -> None:
    write_afad(tmp_path / edition)
    with caplog.at_level(logging.INFO):
        assert read(tmp_path) == PICTURES
    assert f"reads {tmp_path / edition}" in caplog.text


def test_an_edition_within_an_edition_is_read(tmp_path: Path) -> None:
    write_afad(tmp_path / "AFAD-Full" / "AFAD-Full")
    assert read(tmp_path) == PICTURES


def test_two_editions_are_a_question(tmp_path: Path) -> None:
    for edition in ("AFAD-Full", "AFAD-Lite"):
        write_afad(tmp_path / edition)
    with pytest.raises(RequestError, match="AFAD-Full and AFAD-Lite: name one of them"):
        read(tmp_path)


def test_what_is_no_picture_is_ignored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (write_afad(tmp_path) / "README.md").write_text("AFAD")
    (tmp_path / "15" / "111" / "Thumbs.db").write_bytes(b"")
    (tmp_path / "AFAD-Full.zip-aa").write_bytes(b"PK")
    with caplog.at_level(logging.WARNING):
        assert read(tmp_path) == PICTURES
    assert not caplog.records


def test_pictures_elsewhere_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert read(write_afad(tmp_path, "15/113/1.jpg", "99/111/2.jpg", "figure.png")) == PICTURES
    assert "3 names are not like" in caplog.text


def test_only_pictures_elsewhere_are_an_error(tmp_path: Path) -> None:
    write_picture(tmp_path / "15" / "men" / "1.jpg", size=16)
    with pytest.raises(RequestError, match=r"none of 1 pictures is named like <age.*15/men/1\.jpg"):
        read(tmp_path)


def test_an_empty_root_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        RequestError, match=r"no folders of ages, 15/111/<id>\.jpg: expected dataset afad; .*says where"
    ):
        read(tmp_path)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (("AFAD-Full.zip-aa", "AFAD-Full.zip-ab", "README.md"), r"cat AFAD-Full.zip\?\* > AFAD-Full.zip`, and unpack"),
        (("AFAD-Lite.tar.xz00",), r"cat AFAD-Lite.tar.xz\?\* > AFAD-Lite.tar.xz`, and unpack"),
        (("AFAD-Full.zip",), r": unpack AFAD-Full\.zip there"),
    ],
)
def test_archives_are_to_be_joined_and_unpacked(files: tuple[str, ...], said: str, tmp_path: Path) -> None:
    for name in files:
        (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(RequestError, match=said):
        read(tmp_path)


def test_copies_of_a_file_are_one_row_unless_their_labels_differ(tmp_path: Path, caplog) -> None:
    root, name = write_afad(tmp_path), "15/111/638660-0.jpg"
    content = (root / name).read_bytes()
    for other in ("more/15/111/638660-0.jpg", "15/112/638660-0.jpg"):
        (root / other).parent.mkdir(parents=True, exist_ok=True)
        (root / other).write_bytes(content)
    assert read(root) == PICTURES | {"15/112/638660-0.jpg": (15, "female")}  # more/… is not like <age>/<gender>/<id>
    assert "have the name, bytes and labels of another" not in caplog.text
