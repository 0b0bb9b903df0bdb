"""The HTTP API: what it answers, and what it refuses."""

from __future__ import annotations

import inspect
import io
import os
import re
import signal
import socket
import tempfile
import threading
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import gradio
import httpx
import pandas as pd
import pytest
from matplotlib import cbook
from PIL import Image
from starlette.testclient import TestClient

from pipeline import Predictor
from pipeline.inference import serve
from pipeline.training.runs import Run
from pipeline.utils.errors import RequestError


@pytest.fixture(scope="module")
def client(run: Run) -> TestClient:
    return TestClient(serve.application(run.path))


@pytest.fixture(scope="module")
def face(run: Run) -> Path:
    return Path(pd.read_csv(run.path / "predictions.csv")["path"][0])


def post(client: TestClient, *contents: bytes, faces: str = "whole"):
    files = [("pictures", (f"{i}.jpg", content, "image/jpeg")) for i, content in enumerate(contents)]
    return client.post(f"/api/predict?faces={faces}", files=files)


def a_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "a")
    return file.getvalue()


def test_an_answer_is_the_predictors(client: TestClient, run: Run, face: Path) -> None:
    (row,) = post(client, face.read_bytes()).json()
    (wanted,) = Predictor(run.path)([face], faces="whole").to_dict("records")
    assert row["path"] == "0.jpg"
    assert row["age_predicted"] == pytest.approx(wanted["age_predicted"], abs=1e-3)
    assert row["gender_p_male"] == pytest.approx(wanted["gender_p_male"], abs=1e-4)
    assert row["x"] is None


@pytest.mark.parametrize(
    "content",
    [b"<svg xmlns='http://www.w3.org/2000/svg'/>", a_zip(), b"", b"\xff\xd8\xff\xe0 cut"],
    ids=["svg", "zip", "empty", "cut"],
)
def test_what_is_no_picture_is_refused_by_its_name(content: bytes, client: TestClient) -> None:
    answer = post(client, content)
    assert answer.status_code == 415
    assert answer.json()["detail"].startswith("0.jpg: ")


def test_a_picture_that_is_too_large_is_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "MOST_BYTES", 100)
    answer = post(client, bytes(200))
    assert (answer.status_code, answer.json()["detail"]) == (413, "0.jpg: larger than 0 MB")


def test_a_picture_of_too_many_pixels_is_refused(client: TestClient, face: Path, monkeypatch) -> None:
    monkeypatch.setattr(serve, "MOST_PIXELS", 100)
    answer = post(client, face.read_bytes())
    assert answer.status_code == 413
    assert "pixels: at most" in answer.json()["detail"]


def test_a_request_that_is_too_large_is_refused_before_it_is_read(client: TestClient) -> None:

    answer = client.post("/api/predict", content=b"x", headers={"Content-Length": str(2**30)})
    assert answer.status_code == 413


def test_too_many_pictures_are_refused(client: TestClient, face: Path) -> None:
    answer = post(client, *[face.read_bytes()] * (serve.MOST_PICTURES + 1))
    assert (answer.status_code, answer.json()["detail"]) == (413, "17 pictures: at most 16 in a request")


def test_the_page_and_the_description_of_the_api_are_there(client: TestClient) -> None:
    assert "Facet" in client.get("/").text
    assert "/api/predict" in client.get("/openapi.json").json()["paths"]


def test_the_description_of_the_api_fetches_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs").text
    needed = re.findall(r'(?:href|src)="([^"]+)"', page)
    assert len(needed) == 3
    assert "//" not in page.replace("<!--", "").replace("</", "")
    assert all(client.get(path).status_code == 200 for path in needed)


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70000), ("192.0.2.1", 7860), ("127.0.0.1", None)])
def test_an_address_that_cannot_be_listened_on_is_refused(host: str, port: int | None, run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(RequestError, match=f"cannot listen on {host}"):
        serve.serve(run.path, host, port or taken.getsockname()[1])


def test_it_listens_on_loopback_unless_told_otherwise() -> None:
    assert inspect.signature(serve.serve).parameters["host"].default == "127.0.0.1"


@pytest.fixture(scope="module", params=["heic", "avif"])
def phones_photo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """matplotlib's photograph of Grace Hopper as a phone would keep it: turned, with an EXIF orientation."""
    path = tmp_path_factory.mktemp("phone") / f"hopper.{request.param}"
    with Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)) as photograph:
        exif = Image.Exif()
        exif[0x0112] = 6
        photograph.transpose(Image.Transpose.ROTATE_90).save(path, quality=95, exif=exif.tobytes())
    return path


def test_a_phones_photo_is_answered_alike_by_the_api_the_page_and_the_predictor(
    phones_photo: Path, client: TestClient, run: Run
) -> None:
    predictor = Predictor(run.path)
    (expected,) = predictor([phones_photo]).to_dict("records")
    (posted,) = post(client, phones_photo.read_bytes(), faces="detect").json()
    assert expected["confidence"] > 0.9
    for name in ("x", "y", "w", "h", "gender_predicted", "gender_p_male"):
        assert posted[name] == pytest.approx(expected[name])

    page = serve._page(predictor)
    upload = next(block for block in page.blocks.values() if isinstance(block, gradio.Image))
    given = upload.preprocess(gradio.data_classes.ImageData(path=str(phones_photo), orig_name=phones_photo.name))
    assert Path(given).read_bytes() == phones_photo.read_bytes()  # Gradio would convert it by its own rules
    _, table = serve._look(predictor, given, "detect")
    assert table["gender"].tolist() == [expected["gender_predicted"]]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def test_ctrl_c_ends_it_while_a_page_is_open_and_no_picture_stays(
    run: Run, face: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    port, seen = free_port(), {}

    def visit() -> None:
        """Drop a picture, keep the page open, and press Ctrl-C."""
        page = httpx.Client(base_url=f"http://127.0.0.1:{port}/gradio_api", timeout=30)
        for _ in range(300):
            with suppress(httpx.ConnectError):
                seen["picture"] = Path(page.post("/upload", files={"files": face.read_bytes()}).json()[0])
                break
            time.sleep(0.1)
        seen["was there"] = seen["picture"].exists()
        with suppress(httpx.RemoteProtocolError), page.stream("GET", "/heartbeat/x") as stream:
            for line in stream.iter_lines():
                if line == "data: ALIVE":
                    seen["pressed"] = time.monotonic()
                    os.kill(os.getpid(), signal.SIGINT)

    visitor = threading.Thread(target=visit)
    visitor.start()
    serve.serve(run.path, port=port)
    assert time.monotonic() - seen["pressed"] < 10
    visitor.join()
    assert seen["was there"] and seen["picture"].is_relative_to(tmp_path)
    assert not list(tmp_path.glob("facet-uploads-*"))
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
