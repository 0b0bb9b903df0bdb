"""Readers on small folders in the true format; the drawn sample on what it promises."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pipeline import datasets
from pipeline.config import Binary, Classes, Data, FoldSplit, OfficialSplit, RandomSplit, Regression
from pipeline.training.loading import default_experiment
from pipeline.utils.errors import RequestError
from tests.conftest import with_stage, write_picture


def write_fairface(root: Path, train: str, val: str) -> Path:
    header = "file,age,gender,race,service_test\n"
    (root / "fairface_label_train.csv").write_text(header + train)
    (root / "fairface_label_val.csv").write_text(header + val)
    for line in (train + val).splitlines():
        write_picture(root / line.split(",")[0], seed=len(line), size=16)
    return root


def test_fairface_reads_lists_and_mends_spreadsheet_dates(tmp_path: Path) -> None:
    train = "train/1.jpg,03-Sep,Male,White,TRUE\ntrain/2.jpg,19-Oct,Female,Black,FALSE\n"
    train += "train/3.jpg,9-Mar,Male,Indian,FALSE\n"
    val = "val/1.jpg,more than 70,Female,Latino_Hispanic,TRUE\nval/2.jpg,Oct-19,Male,East Asian,TRUE\n"
    rows = datasets.load(Data("fairface", root=str(write_fairface(tmp_path, train, val)), split=OfficialSplit(val=0)))
    assert rows["age_group"].tolist() == ["3-9", "10-19", "3-9", "more than 70", "10-19"]
    assert rows["gender"].tolist() == ["male", "female", "male", "female", "male"]
    assert rows["split"].tolist() == ["train"] * 3 + ["test"] * 2
    assert rows["subject"].isna().all()


def test_fairface_counts_what_is_missing_or_strange(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_fairface(
        tmp_path,
        "train/1.jpg,20-29,Male,White,TRUE\ntrain/2.jpg,200,Man,White,TRUE\n",
        "val/1.jpg,0-2,Female,White,TRUE\n",
    )
    (root / "val/1.jpg").unlink()
    with caplog.at_level(logging.WARNING):
        rows = datasets.load(Data("fairface", root=str(root), split=OfficialSplit(val=0)))
    assert len(rows) == 2
    assert rows["age_group"].isna().tolist() == [False, True]
    assert "1 of 3 listed pictures are not there" in caplog.text
    assert "'200'" in caplog.text


@pytest.mark.parametrize("missing", ["fairface_label_train.csv", "fairface_label_val.csv"])
def test_fairface_without_a_list_names_it(missing: str, tmp_path: Path) -> None:
    root = write_fairface(tmp_path, "train/1.jpg,20-29,Male,White,TRUE\n", "val/1.jpg,0-2,Female,White,TRUE\n")
    (root / missing).unlink()
    with pytest.raises(RequestError, match=missing):
        datasets.load(Data("fairface", root=str(root)))


def test_fairface_rows_that_are_listed_twice_count_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train = "train/1.jpg,20-29,Male,White,TRUE\n" * 2
    root = write_fairface(tmp_path, train, "val/1.jpg,0-2,Female,White,TRUE\n")
    assert len(datasets.load(Data("fairface", root=str(root), split=OfficialSplit(val=0)))) == 2
    assert "1 rows list a face a second time" in caplog.text


def test_fairface_rows_of_a_cut_list_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train = "train/1.jpg,20-29,Male,White,TRUE\ntrain/2.jpg,\n"
    root = write_fairface(tmp_path, train, "val/1.jpg,0-2,Female,White,TRUE\n")
    with caplog.at_level(logging.WARNING):
        assert len(datasets.load(Data("fairface", root=str(root), split=OfficialSplit(val=0)))) == 2
    assert "1 rows lack their file, age or gender" in caplog.text


BAD_NAMES = {
    "61_1_20170109142408075.jpg.chip.jpg": (61, "female"),
    "61_3_20170109150557335.jpg.chip.jpg": (61, "female"),
    "39_1_20170116174525125.jpg.chip.jpg": (39, "male"),
    "53__0_20170116184028385.jpg": (53, "female"),
}


def test_utkface_reads_names_flat_and_in_parts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = {"part1/25_0_2_20170116174525125.jpg": (25, "male"), "9_1_4_20170109150557335.jpg.chip.jpg": (9, "female")}
    names |= {
        "55_0_0_20170116232725357jpg.chip.jpg": (55, "male"),
        "24_0_1_20170116220224657 .jpg.chip.jpg": (24, "male"),
    }
    names |= BAD_NAMES
    for i, name in enumerate([*names, "strange.jpg"]):
        write_picture(tmp_path / name, seed=i, size=16)
    with caplog.at_level(logging.WARNING):
        rows = datasets.load(Data("utkface", root=str(tmp_path)))
    found = {str(Path(r.path).relative_to(tmp_path)): (r.age, r.gender) for r in rows.itertuples()}
    assert found == names
    assert "1 names" in caplog.text


def test_utkface_identical_pictures_are_one_subject(tmp_path: Path) -> None:
    for i, name in enumerate(["20_0_0_1.jpg", "21_1_0_2.jpg", "30_0_0_3.jpg"]):
        write_picture(tmp_path / name, seed=i // 2, size=16)
    assert datasets.load(Data("utkface", root=str(tmp_path)))["subject"].nunique() == 2


def test_utkface_a_photograph_and_its_aligned_face_are_one_subject(tmp_path: Path) -> None:
    names = [
        "part1/20_0_0_1.jpg",
        "UTKFace/20_0_0_1.jpg.chip.jpg",
        "UTKFace/30_0_0_3.jpg.chip.jpg",
        "copy/31_0_0_4.jpg",
    ]
    for i, name in enumerate(names):
        write_picture(tmp_path / name, seed=i, size=16)
    (tmp_path / names[3]).write_bytes((tmp_path / names[0]).read_bytes())  # other labels, the same bytes
    rows = datasets.load(Data("utkface", root=str(tmp_path))).sort_values("age")
    assert rows["subject"].nunique() == 2
    assert rows["subject"].duplicated(keep=False).tolist() == [True, True, False, True]


def test_utkface_copies_of_a_file_are_one_row(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As Kaggle's archive lies on disk: everything once more in a folder within, some in a third place."""
    for i in range(3):
        write_picture(tmp_path / "UTKFace" / f"2{i}_0_0_{i}.jpg", seed=i, size=16)
    for copy in ("again/UTKFace", "crop_part1"):
        shutil.copytree(tmp_path / "UTKFace", tmp_path / copy)
    write_picture(tmp_path / "crop_part1" / "22_0_0_2.jpg", seed=9, size=16)  # another picture of that name
    shutil.copy(tmp_path / "UTKFace" / "20_0_0_0.jpg", tmp_path / "UTKFace" / "30_1_0_5.jpg")  # another label
    rows = datasets.load(Data("utkface", root=str(tmp_path)))
    assert [str(Path(path).relative_to(tmp_path)) for path in rows["path"]] == [
        *("UTKFace/20_0_0_0.jpg", "UTKFace/21_0_0_1.jpg", "UTKFace/22_0_0_2.jpg", "UTKFace/30_1_0_5.jpg"),
        "crop_part1/22_0_0_2.jpg",
    ]
    assert "5 files have the name, bytes and labels of another" in caplog.text


def test_utkface_published_lists(tmp_path: Path) -> None:
    for i in range(4):
        write_picture(tmp_path / "faces" / f"2{i}_0_0_{i}.jpg.chip.jpg", seed=i, size=16)
    (tmp_path / "train.csv").write_text("filename,age\n20_0_0_0.jpg.chip.jpg,20\n21_0_0_1.jpg.chip.jpg,21\n")
    (tmp_path / "test.csv").write_text("filename,age\n22_0_0_2.jpg.chip.jpg,22\n")
    lists = (str(tmp_path / "train.csv"), str(tmp_path / "test.csv"))
    rows = datasets.load(Data("utkface", root=str(tmp_path / "faces"), split=OfficialSplit(val=0), split_lists=lists))
    assert dict(zip(rows["age"], rows["split"], strict=True)) == {20: "train", 21: "train", 22: "test"}


def write_table(folder: Path, text: str, pictures: int = 4) -> Path:
    for i in range(pictures):
        write_picture(folder / f"p{i}.jpg", seed=i, size=16)
    path = folder / "faces.csv"
    path.write_text(text)
    return path


def test_csv_offers_the_label_columns_it_has(tmp_path: Path) -> None:
    root = write_table(tmp_path, "file,Age,gender,split,smile\np0.jpg,20,F,train,yes\np1.jpg,31.5,male,test,no\n")
    data = Data("csv", root=str(root), columns={"path": "file", "age": "Age"}, classes=("smile",))
    experiment = datasets.resolve(with_stage(default_experiment("mobilenetv2"), data=data))
    assert experiment.targets == (Regression("age"), Binary("gender"), Classes("smile", ("no", "yes")))
    assert isinstance(experiment.stages[0].data.split, OfficialSplit)
    rows = datasets.load(experiment.stages[0].data)
    assert rows["age"].tolist() == [20.0, 31.5]
    assert rows["gender"].tolist() == ["female", "male"]


def test_class_columns_that_are_named_are_learned_beside_an_experiments_own_targets(tmp_path: Path) -> None:
    root = write_table(tmp_path, "path,age,smile\np0.jpg,20,yes\np1.jpg,30,no\n")
    data = Data("csv", root=str(root), classes=("smile",))
    experiment = with_stage(default_experiment("mobilenetv2"), data=data)
    resolved = datasets.resolve(replace(experiment, targets=(Regression("age", loss="mse"),)))
    assert resolved.targets == (Regression("age", loss="mse"), Classes("smile", ("no", "yes")))
    assert datasets.resolve(resolved).targets == resolved.targets


def test_csv_columns_may_change_their_names_among_each_other(tmp_path: Path) -> None:
    root = write_table(tmp_path, "path,file,label\nann,p0.jpg,20\nbob,p1.jpg,30\n")
    columns = {"path": "file", "subject": "path", "age": "label", "age_group": "label"}
    rows = datasets.load(Data("csv", root=str(root), columns=columns))
    assert rows["subject"].tolist() == ["ann", "bob"]
    assert (rows["age"].tolist(), rows["age_group"].tolist()) == ([20, 30], ["20", "30"])


@pytest.mark.parametrize(
    ("classes", "ordered"),
    [
        (("0–2", "3–9", "10–19"), True),
        (("(0.0, 5.0]", "(5.0, 10.0]", "(10.0, 20.0]"), True),
        (("0", "2", "11"), True),
        (("<18", "18-30", "60+"), True),
        (("under 18", "18 to 60", "more than 60"), True),
        (("adult", "child", "senior"), False),
        (("10-19", "10-29", "30-39"), False),
    ],
    ids=str,
)
def test_csv_age_groups_have_the_order_that_their_numbers_tell(
    classes: tuple[str, ...], ordered: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = pd.DataFrame({"path": [f"p{i}.jpg" for i in range(3)], "age_group": classes[::-1]})
    table.to_csv(write_table(tmp_path, ""), index=False)
    (target,) = datasets.offered(Data("csv", root=str(tmp_path / "faces.csv")))
    assert target == Classes("age_group", classes, ordered=ordered)
    assert ("have no order" in caplog.text) is not ordered


def test_csv_columns_of_one_name_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="two columns 'age'"):
        datasets.load(Data("csv", root=str(write_table(tmp_path, "path,age, age\np0.jpg,20,30\n"))))


@pytest.mark.parametrize(
    "name", ["folder", ".", "n" * 300 + ".jpg", "p0.jpg/1.jpg"], ids=["folder", "dot", "long", "in"]
)
def test_csv_paths_that_are_no_file_are_counted_as_missing(name: str, tmp_path: Path, caplog) -> None:
    (tmp_path / "folder").mkdir()
    root = write_table(tmp_path, f"path,age\np0.jpg,20\n{name},30\n")
    assert datasets.load(Data("csv", root=str(root)))["age"].tolist() == [20]
    assert "1 of 2 listed pictures are not there" in caplog.text


def by_name(data: Data) -> dict[str, str]:
    rows = datasets.load(data)
    return dict(zip(rows["path"].map(lambda path: Path(path).name), rows["split"], strict=True))


def test_split_and_limit_do_not_depend_on_where_the_data_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = "path,age\n" + "".join(f"p{i}.jpg,20\n" for i in range(40))
    here, there = tmp_path / "here", tmp_path / "else" / "there"
    for folder in (here, there):
        write_table(folder, table, pictures=40)
    split, limit = RandomSplit(0.3, 0.2, by="image"), 25
    found = by_name(Data("csv", root=str(here / "faces.csv"), split=split, limit=limit))
    assert found == by_name(Data("csv", root=str(there / "faces.csv"), split=split, limit=limit))
    monkeypatch.chdir(here)
    assert found == by_name(Data("csv", root="faces.csv", split=split, limit=limit))


def test_flat_pictures_go_by_their_names_whichever_folder_is_the_root(tmp_path: Path) -> None:
    for i in range(40):
        write_picture(tmp_path / "data" / "UTKFace" / f"{i}_0_0_{i}.jpg", seed=i, size=16)
    split, roots = RandomSplit(0.3, 0.2, by="image"), (tmp_path / "data", tmp_path / "data" / "UTKFace")
    table = tmp_path / "manifest.csv"  # as `clean` writes it
    datasets.load(Data("utkface", root=str(roots[0]))).drop(columns="split").to_csv(table, index=False)
    inner, outer, cleaned = (by_name(Data("utkface", root=str(r), split=split, limit=25)) for r in (*roots, table))
    assert inner == outer == cleaned


def test_csv_age_groups_are_ordered_by_number(tmp_path: Path) -> None:
    root = write_table(tmp_path, "path,age_group\np0.jpg,10-19\np1.jpg,3-9\np2.jpg,0-2\n")
    experiment = datasets.resolve(with_stage(default_experiment("mobilenetv2"), data=Data("csv", root=str(root))))
    assert experiment.targets == (Classes("age_group", ("0-2", "3-9", "10-19"), ordered=True),)
    assert isinstance(experiment.stages[0].data.split, RandomSplit)


def test_csv_labels_that_cannot_be_right_are_unknown_and_counted(tmp_path: Path, caplog) -> None:
    text = "path,age,gender\np0.jpg,abc,female\np1.jpg,-3,mail\np2.jpg,400,male\np3.jpg,44,\n"
    with caplog.at_level(logging.WARNING):
        rows = datasets.load(Data("csv", root=str(write_table(tmp_path, text))))
    assert rows["age"].isna().tolist() == [True, True, True, False]
    assert rows["gender"].isna().tolist() == [False, True, False, True]
    assert "not an age from 0 to 130: 3 count as unknown" in caplog.text
    assert "'mail'" in caplog.text


def test_csv_strips_spaces(tmp_path: Path) -> None:
    root = write_table(tmp_path, "path,glasses\n p0.jpg,square\np1.jpg,round \np2.jpg, round\np3.jpg, \n")
    data = Data("csv", root=str(root), classes=("glasses",))
    experiment = datasets.resolve(with_stage(default_experiment("mobilenetv2"), data=data))
    assert experiment.targets == (Classes("glasses", ("round", "square")),)
    assert datasets.load(data)["glasses"].tolist()[:3] == ["square", "round", "round"]


def test_csv_separated_by_semicolons(tmp_path: Path) -> None:
    root = write_table(tmp_path, "path;age\np0.jpg;20\np1.jpg;30\n")
    assert datasets.load(Data("csv", root=str(root)))["age"].tolist() == [20.0, 30.0]


def test_csv_split_is_used_as_it_stands(tmp_path: Path) -> None:
    text = "path,age,split\n" + "".join(f"p{i}.jpg,{20 + i},{'test' if i > 2 else 'train'}\n" for i in range(4))
    data = Data("csv", root=str(write_table(tmp_path, text)))
    assert datasets.load(data)["split"].tolist() == ["train", "train", "train", "test"]


@pytest.mark.parametrize(
    "box", ["left,2,3,4", "1,2,,", "0,0,0,0", "10,10,-50,-50", "inf,10,50,50", "0.1,0.1,0.5,0.5"], ids=str
)
def test_csv_faces_whose_box_can_be_none_are_left_out(
    box: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = f"path,age,x,y,w,h\np0.jpg,20,1,2,3,4\np1.jpg,21,{box}\np2.jpg,22,,,,\n"
    with caplog.at_level(logging.WARNING):
        rows = datasets.load(Data("csv", root=str(write_table(tmp_path, text))))
    assert rows["age"].tolist() == [20, 22]
    assert "1 rows have a face box that is none in pixels" in caplog.text


def test_csv_from_windows_and_parquet_say_the_same(tmp_path: Path) -> None:
    text = "path,age,subject\np0.jpg,20,ann\np1.jpg,,\n"
    plain = datasets.load(Data("csv", root=str(write_table(tmp_path, text))))
    (tmp_path / "windows.csv").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    table = pd.DataFrame({"path": ["p0.jpg", "p1.jpg"], "age": [20, None], "subject": ["ann", None]})
    table.to_parquet(tmp_path / "faces.parquet")
    for name in ("windows.csv", "faces.parquet"):
        pd.testing.assert_frame_equal(datasets.load(Data("csv", root=str(tmp_path / name))), plain)


@pytest.mark.parametrize(
    ("text", "said"),
    [("file,age\np0.jpg,3\n", "no column 'path'"), ("path,height\np0.jpg,3\n", "nothing to learn"), ("", "faces.csv")],
)
def test_csv_that_cannot_be_used_says_what_is_missing(text: str, said: str, tmp_path: Path) -> None:
    data = Data("csv", root=str(write_table(tmp_path, text)))
    with pytest.raises(RequestError, match=said):
        datasets.resolve(with_stage(default_experiment("mobilenetv2"), data=data))


def test_an_option_that_a_dataset_does_not_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="fairface has no option 'columns'"):
        datasets.load(Data("fairface", root=str(tmp_path), columns={"path": "file"}))


def test_pictures_that_are_all_gone_are_an_error(tmp_path: Path) -> None:
    root = write_table(tmp_path, "path,age\nx.jpg,3\ny.jpg,4\n")
    with pytest.raises(RequestError, match="none of the 2 listed pictures"):
        datasets.load(Data("csv", root=str(root)))


def test_sample_is_the_same_from_the_same_seed(tmp_path: Path) -> None:
    from pipeline.datasets import sample

    first, again = sample.load(tmp_path / "a", count=30), sample.load(tmp_path / "b", count=30)
    pd.testing.assert_frame_equal(first.drop(columns="path"), again.drop(columns="path"))
    assert [Path(p).read_bytes() for p in first["path"]] == [Path(p).read_bytes() for p in again["path"]]
    assert not first.drop(columns="path").equals(sample.load(tmp_path / "c", count=30, seed=1).drop(columns="path"))


def test_sample_refuses_a_folder_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(RequestError, match=str(tmp_path)):
        datasets.load(Data("sample", root=str(tmp_path)))
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_sample_has_persons_labels_and_attributes(faces_csv: Path) -> None:
    rows = datasets.load(Data("csv", root=str(faces_csv)))
    known = ("path", "split", "fold", "subject", "age", "gender", "x", "y", "w", "h")
    classes = [name for name in rows if name not in known]
    assert set(rows["gender"]) == {"female", "male"}
    assert rows["age"].between(0, 100).all()
    assert rows["subject"].nunique() < len(rows)
    assert len(classes) == 6


@pytest.mark.parametrize("limit", [None, 60])
@pytest.mark.parametrize(
    "split",
    [RandomSplit(by="subject"), RandomSplit(by="image"), RandomSplit(by="subject", stratify="gender")],
    ids=["subject", "image", "stratified"],
)
def test_rows_stay_in_their_split_where_those_of_another_are_gone(
    split: RandomSplit, limit: int | None, faces_csv: Path, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(faces_csv.parent, tmp_path / "faces")) / faces_csv.name
    data = Data("csv", root=str(root), split=split, limit=limit)
    before = datasets.load(data)
    for path in before["path"][before["split"] == "test"]:
        Path(path).unlink()
    after = datasets.load(data)
    pd.testing.assert_frame_equal(after, before[before["split"] != "test"].reset_index(drop=True))


def test_folds_are_those_of_the_list_where_one_is_gone(tmp_path: Path) -> None:
    paths = [write_picture(tmp_path / f"{number}.png", seed=number) for number in range(20)]
    table = pd.DataFrame({"path": paths, "gender": "female", "fold": [number % 4 for number in range(20)]})
    table.to_csv(tmp_path / "faces.csv", index=False)
    data = Data("csv", root=str(tmp_path / "faces.csv"), split=FoldSplit(fold=0))
    before = datasets.load(data)
    for path in before["path"][before["fold"] == 0]:
        Path(path).unlink()
    pd.testing.assert_frame_equal(datasets.load(data), before[before["fold"] != 0].reset_index(drop=True))
