"""A run as a page, where a person drops a picture, and as an HTTP API, where a program posts one and gets JSON."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import pandas as pd

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before Gradio is imported: nothing is told to anyone

import gradio
import uvicorn
from fastapi import HTTPException, UploadFile
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline.data.pictures import NOT_READABLE, TOO_LARGE, opened
from pipeline.inference import drawn
from pipeline.inference.predict import Predictor
from pipeline.utils.errors import RequestError

log = logging.getLogger(__name__)

MOST_BYTES = 20 * 2**20  # of one picture
MOST_PIXELS = 100_000_000  # of one picture: a file of 1 MB can hold many more
MOST_PICTURES = 16  # of one request
_LIMIT = MOST_BYTES * MOST_PICTURES + 2**20  # of a request: its parts have headers
_KEPT = 3600  # seconds that a picture dropped on the page is kept for, to look at it once more
_LAST_ANSWERS = 0.5  # seconds that answers under way are waited for when the server ends
_NOTE = "Apparent age and gender are guesses of a network. They are no ground for a decision about a person."


def serve(model: str | Path, host: str = "127.0.0.1", port: int = 7860) -> None:
    """Serve a run or a SavedModel until Ctrl-C ends it; no picture stays. host: loopback, unless the caller says so.

    Raises RequestError for what is no model, or an address that cannot be listened on.
    """
    with _uploads_removed():
        page = application(model)
        try:
            listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except (OSError, OverflowError) as error:
            raise RequestError(
                f"cannot listen on {host} port {port}: {error}; --port and --host name another"
            ) from error
        with listening, suppress(KeyboardInterrupt):
            log.info(f"http://{host}:{port} (the API: /docs); Ctrl-C ends it")
            _Server(uvicorn.Config(page, log_config=None, log_level="warning")).run(sockets=[listening])


@contextmanager
def _uploads_removed() -> Iterator[None]:
    """Gradio keeps every picture that is dropped on a page made in this block: in a folder that goes with it."""
    before = os.environ.get("GRADIO_TEMP_DIR")
    with TemporaryDirectory(prefix="facet-uploads-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        try:
            yield
        finally:
            os.environ.pop("GRADIO_TEMP_DIR")
            os.environ.update({"GRADIO_TEMP_DIR": before} if before is not None else {})


class _Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Uvicorn would wait for an open page, which listens for as long as there is a server: hang up."""
        asyncio.get_running_loop().call_later(_LAST_ANSWERS, self._hang_up)
        await super().shutdown(sockets)

    def _hang_up(self) -> None:
        for connection in self.server_state.connections:
            connection.transport.close()


def application(model: str | Path) -> ASGIApp:
    """The page at /, the API at /api/predict, and its description at /docs and /openapi.json.

    Raises RequestError for what is no model.
    """
    predictor = Predictor(model)
    api = FastAPIOffline(title="Facet", description=_NOTE, redoc_url=None)  # /docs fetches nothing from elsewhere

    @api.get("/api/model")
    def labels() -> dict[str, Any]:
        """What the model answers, and how its pictures are made: labels.json."""
        return predictor.labels

    @api.post("/api/predict")
    def answer(pictures: list[UploadFile], faces: Literal["detect", "whole"] = "detect") -> JSONResponse:
        """One row a face (a picture without any: one row with the reason): box, landmarks, answers, probabilities."""
        if len(pictures) > MOST_PICTURES:
            raise HTTPException(413, f"{len(pictures)} pictures: at most {MOST_PICTURES} in a request")
        table = predictor([_read(upload) for upload in pictures], faces)
        names = {f"picture {i}": upload.filename or f"picture {i}" for i, upload in enumerate(pictures)}
        return JSONResponse(_records(table.assign(path=table["path"].map(names))))

    theme = gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"])  # none is fetched
    page = gradio.mount_gradio_app(
        api, _page(predictor), path="/", max_file_size=MOST_BYTES, theme=theme, ssr_mode=False, footer_links=[]
    )
    return _Limited(page)


class _Limited:
    """Refuses a request that says it is too large, or does not say how large it is, before it is read."""

    def __init__(self, inner: ASGIApp) -> None:
        self.inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"].startswith("/api/"):
            size = dict(scope["headers"]).get(b"content-length", b"")
            if not size.isdigit():
                return await _refusal(411, "expected a Content-Length")(scope, receive, send)
            if int(size) > _LIMIT:
                said = f"{int(size) / 2**20:.0f} MB: at most {MOST_PICTURES} pictures of {MOST_BYTES // 2**20} MB"
                return await _refusal(413, said)(scope, receive, send)
        return await self.inner(scope, receive, send)


def _refusal(status: int, said: str) -> JSONResponse:
    return JSONResponse({"detail": said}, status, headers={"Connection": "close"})


def _read(upload: UploadFile) -> bytes:
    """A picture's bytes. Raises HTTPException for one that is too large, or is no picture."""
    content = upload.file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise HTTPException(413, f"{upload.filename}: larger than {MOST_BYTES // 2**20} MB")
    if refused := _refused(content):
        status, why = refused
        raise HTTPException(status, f"{upload.filename}: {why}")
    return content


def _refused(content: bytes) -> tuple[int, str] | None:
    """The HTTP status and the reason, for a file that is no picture, or one of too many pixels."""
    try:
        with opened(content) as image:
            width, height = image.size
    except ValueError as error:
        return (413 if str(error) == TOO_LARGE else 415), str(error)
    if width * height > MOST_PIXELS:
        return 413, f"{width}×{height} pixels: at most {MOST_PIXELS // 10**6} megapixels"
    return None


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON takes them: what is unknown is null."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


# -- the page ---------------------------------------------------------------------------------------------------------


def _page(predictor: Predictor) -> gradio.Blocks:
    with gradio.Blocks(title="Facet", analytics_enabled=False, delete_cache=(_KEPT, _KEPT)) as page:
        gradio.Markdown(f"# Facet\n{_NOTE}")
        with gradio.Row():
            given = gradio.Image(
                type="filepath", image_mode=None, sources=["upload", "webcam", "clipboard"], label="A photograph"
            )
            given.preprocess = partial(_opened, given.preprocess)
            shown = gradio.Image(label="Faces", interactive=False, format="png")
        faces = gradio.Radio(["detect", "whole"], value="detect", label="Find faces, or take the picture for one")
        answers = gradio.Dataframe(label="Answers", interactive=False)
        for event in (given.change, faces.change):
            event(lambda path, how: _look(predictor, path, how), [given, faces], [shown, answers], api_name=False)
    return page


def _opened(preprocess: Callable[[Any], str | None], payload: Any) -> str | None:
    """What Gradio makes of an upload; its own error for what is no picture tells of components and handlers."""
    try:
        return preprocess(payload)
    except Exception as error:  # Pillow's readers raise whatever their parsing runs into
        raise gradio.Error(NOT_READABLE, print_exception=False) from error


def _look(predictor: Predictor, path: str | None, faces: str) -> tuple[np.ndarray | None, pd.DataFrame | None]:
    """The picture with boxes and answers drawn, and a table with a row a face."""
    if path is None:
        return None, None
    if refused := _refused(Path(path).read_bytes()):
        raise gradio.Error(refused[1], print_exception=False)
    (((looked,), rows),) = predictor.follow([Path(path)], faces, keep_pixels=True)
    found = rows[rows["reason"] == ""]
    if found.empty:
        gradio.Warning(rows["reason"].iloc[0])
        return looked.pixels, None
    return drawn.draw(looked.pixels, found, predictor.labels["targets"]), _readable(found, predictor)


def _readable(found: pd.DataFrame, predictor: Predictor) -> pd.DataFrame:
    """A row a face: each target's answer with the probabilities of its classes."""
    table = pd.DataFrame({"face": range(1, len(found) + 1)})
    for name, meaning in predictor.labels["targets"].items():
        said = found[f"{name}_predicted"]
        table[name] = said.to_list() if meaning.get("classes") else said.map("{:.1f}".format).to_list()
        for one in meaning.get("classes", ()):
            table[f"{name}: {one}"] = found[f"{name}_p_{one}"].map("{:.0%}".format).to_list()
    return table
