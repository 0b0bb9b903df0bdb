"""The page about a dataset: its counts are right, and it holds all that it shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from pipeline.cli.commands import main
from pipeline.config import Data, OfficialSplit, RandomSplit
from pipeline.evaluation import describe
from tests.conftest import write_picture


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Twelve pictures: two are the same, one is damaged, one is gone; ann is in training and in the test."""
    rows = ["path,split,subject,gender,age"]
    for i in range(12):
        write_picture(tmp_path / f"{i}.jpg", seed=i, size=32 if i < 8 else 48)
        split, subject = ("train", "ann") if i < 8 else ("test", "ann" if i == 8 else f"p{i}")
        rows.append(f"{i}.jpg,{split},{subject},{'female' if i % 3 else 'male'},{i * 5}")
    (tmp_path / "9.jpg").write_bytes((tmp_path / "0.jpg").read_bytes())
    (tmp_path / "10.jpg").write_bytes(b"<html>")
    (tmp_path / "11.jpg").unlink()
    (tmp_path / "faces.csv").write_text("\n".join(rows))
    return tmp_path / "faces.csv"


def facts_of(table: Path, **options: object) -> dict:
    return describe.describe(Data("csv", root=str(table), **options)).facts


def test_rows_that_went_are_counted_with_their_reason(table: Path) -> None:
    facts = facts_of(table)
    assert (facts["rows"], facts["kept"], facts["unreadable"]) == (12, 11, 1)
    assert [d["rows"] for d in facts["dropped"]] == [1]
    assert "11.jpg" in facts["dropped"][0]["reason"]


def test_labels_are_counted_by_split(table: Path) -> None:
    assert facts_of(table)["labels"]["gender"] == {
        "female": {"train": 5, "val": 0, "test": 2},
        "male": {"train": 3, "val": 0, "test": 1},
    }


def test_ages_and_sizes_are_summed_up(table: Path) -> None:
    facts = facts_of(table)
    assert (facts["age"]["least"], facts["age"]["most"], facts["age"]["known"]) == (0.0, 50.0, 11)
    assert facts["age"]["decades"]["20 to 29"] == {"train": 2, "val": 0, "test": 0}
    assert facts["sizes"] == {"32×32": 9, "48×48": 1}


def test_duplicates_and_leaks_are_counted(table: Path) -> None:
    facts = facts_of(table)
    assert facts["duplicates"] == {"rows": 2, "groups": 1, "near": 2}
    assert facts["leak"]["test"] == {"subjects": 1, "duplicates": 1, "near_duplicates": 1}
    assert "LEAKS" in describe.leak_sentences(facts)


def test_validation_rows_are_audited_too(table: Path) -> None:
    text = table.read_text().replace("8.jpg,test", "8.jpg,val")
    table.write_text(text)
    assert facts_of(table)["leak"]["val"]["subjects"] == 1


def test_folds_are_shown_with_their_subjects(tmp_path: Path) -> None:
    rows = ["path,fold,subject,age"]
    for i in range(6):
        write_picture(tmp_path / f"{i}.png", seed=i, size=16)
        rows.append(f"{i}.png,{i % 3},{'ab'[i % 2] if i < 4 else 'c'},3")
    (tmp_path / "faces.csv").write_text("\n".join(rows))
    facts = facts_of(tmp_path / "faces.csv", split=RandomSplit())
    assert facts["folds"]["0"] == {"rows": 2, "subjects": 2, "shared": 2}


def test_the_page_holds_all_that_it_shows(table: Path, tmp_path: Path) -> None:
    page = describe.write(describe.describe(Data("csv", root=str(table))), tmp_path).read_text()
    assert 'src="data:image/png' in page
    assert 'src="data:image/jpeg' in page
    assert 'src="http' not in page and "<script" not in page


def test_names_from_files_cannot_write_the_page(table: Path, tmp_path: Path) -> None:
    table.write_text(table.read_text().replace("gender", "smile").replace("female", "<b>yes</b>"))
    summary = describe.describe(Data("csv", root=str(table), classes=("smile",)))
    assert "<b>yes</b>" not in describe.write(summary, tmp_path).read_text()


def test_the_command_ends_with_the_page(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["data", "csv", "--root", str(table), "--out", str(tmp_path / "out")]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == str(tmp_path / "out" / "data.html")
    assert json.loads((tmp_path / "out" / "data.json").read_text())["kept"] == 11


def test_by_image_divides_at_random(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["data", "csv", "--root", str(table), "--by", "image", "--out", str(tmp_path)]) == 0
    assert "by image" in capsys.readouterr().out


def test_an_empty_root_tells_where_the_data_are_to_be_had(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["data", "adience", "--root", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr()
    assert "research only" in said.out
    assert "fold_0_data.txt" in said.err


def test_a_field_of_the_data_has_its_long_name(table: Path, tmp_path: Path) -> None:
    assert main(["data", "csv", "--root", str(table), "--columns", "age", "age", "--out", str(tmp_path)]) == 0
    assert main(["data", "csv", "--root", str(table), "--colums", "age", "age", "--out", str(tmp_path)]) == 2


def test_names_in_brackets_are_no_markup(table: Path) -> None:
    table.write_text(table.read_text().replace("gender", "smile").replace("female", "[/b]").replace("male", "[a]"))
    said = describe.text(describe.describe(Data("csv", root=str(table), classes=("smile",))))
    assert "[/b]" in said and "[a]" in said


def test_of_a_limit_no_row_that_is_not_asked_for_is_counted(table: Path) -> None:
    said = describe.text(describe.describe(Data("csv", root=str(table), limit=6)))
    assert said.splitlines()[0].startswith("csv: 5 rows, limit 6, split")  # 11.jpg is gone


def test_what_training_cannot_read_is_unreadable_and_no_copy(table: Path) -> None:
    with Image.open(table.parent / "1.jpg") as picture:
        picture.resize((64, 64)).save(table.parent / "2.jpg", "ICO")
        picture.resize((4, 4)).save(table.parent / "3.jpg")
    for name in ("4.jpg", "8.jpg"):
        (table.parent / name).write_bytes(b"")
    facts = facts_of(table)
    assert facts["unreadable"] == 5
    assert facts["leak"]["test"]["duplicates"] == 1  # 9.jpg: two that are empty are no copies of each other


def test_the_split_in_use_is_named(table: Path) -> None:
    assert facts_of(table)["split"] == "official (val 0.0)"
    assert facts_of(table, split=OfficialSplit(val=0.5))["split"] == "official (val 0.5)"


def test_the_fold_can_be_chosen(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    from tests.pipeline.datasets.test_dataset_adience import small

    assert main(["data", "adience", "--root", str(small(tmp_path)), "--split.fold", "3", "--out", str(tmp_path)]) == 0
    assert "folds (fold 3, val 0.1)" in capsys.readouterr().out


def test_columns_of_a_user_are_not_mistaken_for_ours(tmp_path: Path) -> None:
    write_picture(tmp_path / "0.png", size=16)
    (tmp_path / "faces.csv").write_text("path,age,width,sha256,phash\n0.png,3,wide,x,1\n")
    assert facts_of(tmp_path / "faces.csv")["sizes"] == {"16×16": 1}


@pytest.mark.parametrize("command", ["data", "clean"])
def test_a_limit_of_no_rows_is_refused(command: str, table: Path, tmp_path: Path) -> None:
    assert main([command, "csv", "--root", str(table), "--limit", "0", "--out", str(tmp_path)]) == 2


def test_rows_with_a_problem_are_named(table: Path, tmp_path: Path) -> None:
    describe.write(describe.describe(Data("csv", root=str(table))), tmp_path / "")
    lines = (tmp_path / "problems.csv").read_text().splitlines()[1:]
    assert {(Path(line.split(",")[0]).name, line.rsplit(",", 1)[1].split(" as ")[0]) for line in lines} == {
        ("10.jpg", "unreadable"),
        ("9.jpg", "same bytes"),
        ("8.jpg", "leaks by subjects"),
        ("9.jpg", "leaks by duplicates"),
        ("9.jpg", "leaks by near duplicates"),
    }


def test_a_class_named_unknown_is_not_what_is_unknown(tmp_path: Path) -> None:
    rows = [f"{write_picture(tmp_path / f'{i}.png', seed=i, size=16).name},3,train,{s}" for i, s in enumerate(SKIES)]
    (tmp_path / "faces.csv").write_text("\n".join(["path,age,split,sky", *rows]))
    labels = facts_of(tmp_path / "faces.csv")["labels"]["sky"]
    assert {name: counts["train"] for name, counts in labels.items()} == {
        "blue": 1,
        "unknown (a class)": 2,
        "unknown": 3,
    }


SKIES = ("unknown", "", "blue", "", "unknown", "")
