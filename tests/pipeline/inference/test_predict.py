"""From photographs, arrays and videos to answers: what is found, what is said where nothing is, what is drawn."""

from __future__ import annotations

import io
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import matplotlib.cbook
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline import Predictor
from pipeline.data.pictures import NOT_READABLE
from pipeline.inference import drawn, predict, sources
from pipeline.training.runs import Run
from pipeline.utils import files
from pipeline.utils.errors import RequestError
from tests.conftest import smooth_picture

MEANINGS = {"age": {"kind": "regression", "unit": "years"}, "gender": {"kind": "binary", "classes": ["female", "male"]}}


@pytest.fixture(scope="module")
def predictor(run: Run) -> Predictor:
    return Predictor(run.path)


@pytest.fixture(scope="module")
def drawn_faces(run: Run) -> list[str]:
    return pd.read_csv(run.path / "predictions.csv")["path"].tolist()


@pytest.fixture(scope="module")
def photograph() -> Path:
    return Path(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))


@pytest.fixture(scope="module")
def video(drawn_faces: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 frames, 10 a second."""
    path = tmp_path_factory.mktemp("video") / "faces.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (128, 128))
    for face in drawn_faces[:12]:
        writer.write(cv2.imread(face))
    writer.release()
    return path


# -- the same answers however a picture comes -------------------------------------------------------------------------


def test_a_stream_without_faces_is_answered_as_it_comes(predictor: Predictor) -> None:
    shown = []

    def blank() -> Iterator[np.ndarray]:
        for number in range(1000):
            shown.append(number)
            yield np.full((24, 24, 3), 128, np.uint8)

    _, rows = next(predictor.follow(blank()))
    assert set(rows["reason"]) == {"no face was found"}
    assert len(shown) < 1000


def test_a_path_its_bytes_its_pixels_and_a_pil_image_get_the_same_answer(
    predictor: Predictor, drawn_faces: list[str]
) -> None:
    content = Path(drawn_faces[0]).read_bytes()
    picture = Image.open(io.BytesIO(content))
    table = predictor([drawn_faces[0], content, np.asarray(picture), picture], faces="whole")
    assert np.ptp(table["age_predicted"]) < 0.2  # decoders differ by a level
    assert np.ptp(table["gender_p_male"]) < 0.01


def test_pictures_in_batches_are_answered_as_one_by_one(predictor: Predictor, drawn_faces: list[str]) -> None:
    together = predictor(drawn_faces[:70], faces="whole")
    alone = pd.concat([predictor([face], faces="whole") for face in drawn_faces[60:70]], ignore_index=True)
    assert together["path"].tolist() == drawn_faces[:70]
    difference = together["gender_p_male"][60:].to_numpy() - alone["gender_p_male"].to_numpy()
    assert np.abs(difference).max() < 1e-4


@pytest.mark.parametrize("given", [3, np.zeros((4, 4), np.uint8), np.zeros((9, 9, 3))])
def test_something_else_is_refused_with_what_it_is(given: object, predictor: Predictor) -> None:
    with pytest.raises(RequestError, match="expected a path, bytes, a PIL image, or a uint8 RGB array"):
        predictor([given])


# -- faces ------------------------------------------------------------------------------------------------------------


def test_the_photograph_has_one_face_with_its_box_and_landmarks(predictor: Predictor, photograph: Path) -> None:
    (face,) = predictor([photograph]).to_dict("records")
    assert face["confidence"] > 0.9
    assert face["x"] < face["left_eye_x"] < face["right_eye_x"] < face["x"] + face["w"]
    assert face["y"] < face["left_eye_y"] < face["mouth_left_y"] < face["y"] + face["h"]
    assert face["gender_predicted"] in ("female", "male")
    assert face["reason"] == ""


def test_two_faces_are_two_rows_and_none_is_one_row_with_the_reason(predictor: Predictor, photograph: Path) -> None:
    one = np.asarray(Image.open(photograph))
    table = predictor([np.concatenate([one, one], axis=1), smooth_picture(0, 128)])
    assert table["path"].tolist() == ["picture 0", "picture 0", "picture 1"]
    assert table["reason"].tolist() == ["", "", predict.NO_FACE]
    assert np.isnan(table["age_predicted"][2])


def test_forty_faces_in_a_picture_are_forty_rows(predictor: Predictor, photograph: Path) -> None:
    with Image.open(photograph) as picture:
        head = picture.convert("RGB").crop((130, 0, 390, 330)).resize((130, 165))
    crowd = Image.new("RGB", (8 * 130, 5 * 165))
    for number in range(40):
        crowd.paste(head, (number % 8 * 130, number // 8 * 165))
    table = predictor([crowd])
    assert len(table) == 40
    assert table["age_predicted"].notna().all()


@pytest.mark.parametrize("lacks", ["image_size", "targets"])
def test_an_export_whose_labels_lack_something_is_refused(lacks: str, run: Run, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run.saved_model, tmp_path / "saved_model"))
    labels = copy / "assets.extra" / "labels.json"
    said = json.loads(labels.read_text())
    del said[lacks]
    labels.write_text(json.dumps(said))
    with pytest.raises(RequestError, match=f"no export of a run: .* '{lacks}'"):
        Predictor(copy)


def test_a_broken_picture_among_others_gets_its_reason(
    predictor: Predictor, drawn_faces: list[str], tmp_path: Path
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    table = predictor([drawn_faces[0], tmp_path / "broken.jpg", drawn_faces[1]], faces="whole")
    assert table["reason"].tolist() == ["", NOT_READABLE, ""]


# -- videos -----------------------------------------------------------------------------------------------------------


def test_frames_of_a_video_have_their_number_and_time(predictor: Predictor, video: Path) -> None:
    table = predictor([video], faces="whole", every=5)
    assert table["frame"].tolist() == [0, 5, 10]
    assert table["time"].tolist() == pytest.approx([0, 0.5, 1.0])


def test_a_drawn_video_is_as_long_as_its_own(run: Run, video: Path, tmp_path: Path) -> None:
    predict.predict(run.path, [str(video)], tmp_path / "a.csv", "whole", tmp_path / "drawn", every=2)
    shown = cv2.VideoCapture(str(tmp_path / "drawn" / "faces.mp4"))
    frames, rate = shown.get(cv2.CAP_PROP_FRAME_COUNT), shown.get(cv2.CAP_PROP_FPS)
    assert (frames, frames / rate) == (6, pytest.approx(1.2))


def test_a_damaged_video_is_a_row_with_the_reason(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "cut.mp4").write_bytes(b"\0" * 200)
    assert predictor([tmp_path / "cut.mp4"])["reason"].tolist() == ["not a readable video"]


def test_a_video_that_was_cut_short_is_answered_as_far_as_it_goes(
    predictor: Predictor, drawn_faces: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "cut.avi"  # of an MP4 the index, which stands at its end, would be gone
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (128, 128))
    for face in drawn_faces[:12]:
        writer.write(cv2.imread(face))
    writer.release()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    table = predictor([path], faces="whole")
    assert 0 < len(table) < 12
    assert (table["reason"] == "").all()
    assert "cut short" in caplog.text


def test_a_camera_that_is_not_there_is_refused(predictor: Predictor) -> None:
    with pytest.raises(RequestError, match="no camera:93"):
        predictor(["camera:93"])


# -- what is looked at ------------------------------------------------------------------------------------------------


def test_one_picture_alone_is_taken_as_one(predictor: Predictor, drawn_faces: list[str]) -> None:
    with Image.open(drawn_faces[0]) as picture:
        pixels = np.asarray(picture)
    for given in (drawn_faces[0], Path(drawn_faces[0]), Path(drawn_faces[0]).read_bytes(), pixels):
        assert len(predictor(given, faces="whole")) == 1


@pytest.mark.parametrize(("ending", "options"), [("webp", {"lossless": True}), ("tiff", {}), ("jp2", {}), ("ppm", {})])
def test_every_format_is_answered_as_the_same_picture(
    ending: str, options: dict[str, object], predictor: Predictor, drawn_faces: list[str], tmp_path: Path
) -> None:
    with Image.open(drawn_faces[0]) as picture:
        picture.save(tmp_path / f"face.{ending}", **options)
    table = predictor([drawn_faces[0], tmp_path / f"face.{ending}"], faces="whole")
    assert table["reason"].tolist() == ["", ""]
    assert np.ptp(table["gender_p_male"]) < 0.01


@pytest.mark.parametrize(
    ("size", "kept", "said"), [((7, 20), 1.0, "only 7×20 pixels"), ((99, 99), 0.3, "not a readable image")]
)
def test_a_picture_that_cannot_be_used_gets_a_reason(size, kept: float, said: str, predictor: Predictor) -> None:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (*size[::-1], 3), np.uint8)).save(file, "WEBP")
    content = file.getvalue()
    (row,) = predictor(content[: int(kept * len(content))], faces="whole").to_dict("records")
    assert said in row["reason"]


def test_a_name_that_is_no_utf8_is_answered_legibly(run: Run, drawn_faces: list[str], tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    shutil.copy(drawn_faces[0], odd)
    predict.predict(run.path, [os.fsdecode(odd)], tmp_path / "said.parquet", faces="whole")
    said = pd.read_parquet(tmp_path / "said.parquet")
    assert said["path"].tolist() == [f"{tmp_path}/caf\\xe9.jpg"]
    assert said["reason"].tolist() == [""]


def test_what_was_answered_before_an_error_is_kept(run: Run, drawn_faces: list[str], tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no camera:99"):
        predict.predict(run.path, [*drawn_faces * 10, "camera:99"], tmp_path / "said.csv", faces="whole")
    assert len(pd.read_csv(tmp_path / "said.csv")) >= predict.BATCH


def test_drawing_into_the_folder_of_the_pictures_is_refused(run: Run, drawn_faces: list[str], tmp_path: Path) -> None:
    mine = Path(shutil.copy(drawn_faces[0], tmp_path / "me.jpg"))
    before = mine.read_bytes()
    with pytest.raises(RequestError, match=r"me\.jpg lies there and might be overwritten"):
        predict.predict(run.path, [str(mine)], tmp_path / "said.csv", faces="whole", draw=tmp_path)
    assert mine.read_bytes() == before


def test_every_picture_is_drawn_under_a_name_of_its_own(run: Run, drawn_faces: list[str], tmp_path: Path) -> None:
    names = ["a/x.jpg", "b/x.jpg", "c/x-2.jpg"]
    for name, face in zip(names, drawn_faces, strict=False):
        (tmp_path / name).parent.mkdir()
        shutil.copy(face, tmp_path / name)
    given = [str(tmp_path / name) for name in names]
    predict.predict(run.path, given, tmp_path / "said.csv", faces="whole", draw=tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["x-2-2.jpg", "x-2.jpg", "x.jpg"]


def list_on_stdin(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_folders_patterns_and_lists_name_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b.jpg", "a.png", "sub/c.mp4", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    list_on_stdin(monkeypatch, f"{tmp_path}/b.jpg\n\n")
    found = sources.expand([str(tmp_path), f"{tmp_path}/*.png", "-"])
    assert [Path(path).name for path in found] == ["a.png", "b.jpg", "c.mp4", "a.png", "b.jpg"]


def test_what_a_list_names_in_vain_is_said_in_its_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "there.png")
    list_on_stdin(monkeypatch, f"{tmp_path}/gone.jpg\n{'long' * 99}.jpg\n{tmp_path}/there.png\n")
    gone, long, there = sources.pictures(sources.expand(["-"]))
    assert gone.reason == "cannot be read: No such file or directory"
    assert long.reason == "cannot be read: File name too long"
    assert there.content and not there.reason


def test_an_empty_list_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    list_on_stdin(monkeypatch, "\n")
    with pytest.raises(RequestError, match="no videos in -"):
        sources.expand(["-"])


def test_a_pattern_that_names_nothing_is_refused_among_others(drawn_faces: list[str], tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no file is named like .*\*\.zip"):
        sources.expand([drawn_faces[0], f"{tmp_path}/*.zip"])


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no pictures"):
        sources.expand([str(tmp_path)])


# -- drawing ----------------------------------------------------------------------------------------------------------


def face(x: float, y: float, side: float) -> pd.DataFrame:
    answers = {"age_predicted": 34.2, "gender_predicted": "female", "gender_p_female": 0.98, "gender_p_male": 0.02}
    return pd.DataFrame([{"x": x, "y": y, "w": side, "h": side, "reason": ""} | answers])


def test_what_is_written_names_each_answer() -> None:
    assert drawn.said(face(0, 0, 9).iloc[0], MEANINGS) == ["age 34", "gender female 98%"]


@pytest.mark.parametrize("size", [64, 400, 3000])
@pytest.mark.parametrize("place", [(0.3, 0.4), (0.0, 0.0), (0.6, 0.65)])
def test_a_box_and_its_text_are_drawn_at_any_size(size: int, place: tuple[float, float]) -> None:
    grey = np.full((size, size, 3), 90, np.uint8)
    shown = drawn.draw(grey, face(place[0] * size, place[1] * size, 0.3 * size), MEANINGS)
    ink = (np.abs(shown.astype(int) - drawn.INK).max(axis=2) < 40).sum()
    assert (np.abs(shown.astype(int) - drawn.COLOUR).max(axis=2) < 10).mean() > 0.003
    assert ink > 100  # letters, and not only the plate
    assert (grey == 90).all()


def test_pictures_that_are_drawn_on_are_not_heaped_up(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "_HELD", 3 * smooth_picture(0).nbytes)
    given = [smooth_picture(number) for number in range(10)]
    batches = [len(looked) for looked, _ in predictor.follow(given, "whole", keep_pixels=True)]
    assert batches == [3, 3, 3, 1]


@pytest.mark.parametrize("how", predict.FACES)
def test_large_pictures_are_looked_at_a_few_at_a_time_with_the_same_answers(
    how: str, predictor: Predictor, drawn_faces: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = predictor(drawn_faces[:12], how)
    monkeypatch.setattr(predict, "_LARGE", 1)
    monkeypatch.setattr(predict, "_HELD", 1)
    pd.testing.assert_frame_equal(predictor(drawn_faces[:12], how), wanted, check_exact=False, atol=1e-4)


def test_pictures_that_come_slowly_do_not_wait_for_a_batch(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "_PATIENCE", 0.0)
    given = []

    def slowly() -> Iterator[np.ndarray]:
        for number in range(9):
            given.append(number)
            yield smooth_picture(number)
            time.sleep(0.2)

    next(predictor.follow(slowly(), "whole"))
    assert len(given) < 9


def test_pictures_of_the_same_name_are_drawn_into_two_files(run: Run, drawn_faces: list[str], tmp_path: Path) -> None:
    predict.predict(run.path, [drawn_faces[0], drawn_faces[0]], tmp_path / "a.csv", "whole", tmp_path / "drawn")
    stem = Path(drawn_faces[0]).stem
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == [f"{stem}-2.jpg", f"{stem}.jpg"]


# -- odd pictures, cameras and places ---------------------------------------------------------------------------------


def reopened(picture: Image.Image, ending: str, kept: float = 1.0) -> Image.Image:
    """The picture as Pillow opens its file, or the first part of it."""
    file = io.BytesIO()
    picture.save(file, ending)
    return Image.open(io.BytesIO(file.getvalue()[: int(kept * file.tell())]))


def test_a_pil_image_of_sixteen_bits_is_scaled() -> None:
    levels = Image.fromarray(np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16))
    (looked,) = sources.pictures(reopened(levels, "PNG"))
    assert looked.pixels[:, :, 0].ravel().tolist() == list(range(256))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_a_pil_image_without_a_scale_gets_a_reason(mode: str, predictor: Predictor) -> None:
    (row,) = predictor(Image.new(mode, (20, 20)), faces="whole").to_dict("records")
    assert row["reason"].startswith(f"an image of Pillow's mode {mode}")


@pytest.mark.parametrize("how", ["whole", "detect"])
@pytest.mark.parametrize(
    "given",
    [Image.new("RGB", (7, 9)), np.zeros((9, 7, 3), np.uint8), Image.new("RGB", (0, 0))],
    ids=["pil", "array", "0"],
)
def test_pixels_of_a_picture_that_is_too_small_get_a_reason(given: object, how: str, predictor: Predictor) -> None:
    (row,) = predictor([given], faces=how).to_dict("records")
    assert row["reason"] in ("only 7×9 pixels", "only 0×0 pixels")


def test_a_truncated_pil_image_among_others_gets_its_reason(predictor: Predictor) -> None:
    whole = Image.fromarray(smooth_picture(0))
    table = predictor([whole, reopened(whole, "JPEG", kept=0.5), whole], faces="whole")
    assert table["reason"].iloc[[0, 2]].tolist() == ["", ""]
    assert table["reason"][1].startswith("damaged (image file is truncated")


@pytest.mark.parametrize("every", [0, -1])
def test_every_no_frame_is_refused(every: int, video: Path) -> None:
    with pytest.raises(RequestError, match=f"every {every}: expected a whole number from 1"):
        next(sources.pictures([video], every))


@pytest.mark.parametrize(("ending", "codec"), [("3gp", "mp4v"), ("mpg", "mpg1"), ("wmv", "WMV2"), ("mts", "mpg2")])
def test_videos_of_other_endings_are_read(ending: str, codec: str, tmp_path: Path) -> None:
    path = tmp_path / f"face.{ending}"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 25, (128, 128))
    for number in range(3):
        writer.write(smooth_picture(number, 128))
    writer.release()
    assert [one.frame for one in sources.pictures(sources.expand([str(tmp_path)]))] == [0, 1, 2]


def test_a_camera_that_is_not_there_is_said_in_one_line(capfd: pytest.CaptureFixture) -> None:
    before = cv2.utils.logging.getLogLevel()
    with pytest.raises(RequestError, match="no camera:93"):
        next(sources.pictures("camera:93"))
    assert capfd.readouterr().err == ""
    assert cv2.utils.logging.getLogLevel() == before


def test_the_time_of_a_cameras_frames_is_real(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda _: opened(str(video)))  # no machine of ours has a camera
    frames = sources.pictures("camera:0")
    first = next(frames).time
    time.sleep(0.3)
    assert next(frames).time - first >= 0.3  # by the rate of the frames it would be 0.1


def test_a_place_where_nothing_can_be_written_is_refused_before_the_work() -> None:
    with pytest.raises(RequestError, match="--out /proc: nothing can be written there"):
        files.check_table(Path("/proc/answers.csv"))
    with pytest.raises(RequestError, match="--draw /proc: nothing can be written there"):
        files.make_folder(Path("/proc"), "--draw")
