"""Videos by their own clock: times, durations, what was cut short, what is turned, mirrored or changes its size."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from pipeline.inference import drawn, sources, videos
from pipeline.inference.sources import Picture

RED, GREEN, BLUE, GREY = (200, 40, 40), (40, 200, 40), (40, 40, 200), (120, 120, 120)
WAITS = [0, 33, 66, 99, 132, 2100, 2200, 2300, 2400, 2500]  # milliseconds, as of a phone in the dark
STEADY = list(range(0, 1200, 40))
MILLISECOND = Fraction(1, 1000)


def quarters(width: int = 64, height: int = 48) -> np.ndarray:
    """Red and green above, blue and grey below."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2], picture[: height // 2, width // 2 :] = RED, GREEN
    picture[height // 2 :, : width // 2], picture[height // 2 :, width // 2 :] = BLUE, GREY
    return picture


def write(path: Path, times: Sequence[int], codec: str = "mpeg4", rate: int = 30, **options: str) -> Path:
    """A video of frames at these milliseconds."""
    with av.open(str(path), "w", options=options) as file:
        stream = file.add_stream(codec, rate=rate, width=64, height=48, pix_fmt="yuv420p")
        stream.time_base = stream.codec_context.time_base = MILLISECOND if path.suffix != ".avi" else Fraction(1, rate)
        if codec == "libx264":
            stream.options = {"bf": "2", "x264-params": "b-adapt=0:log-level=none"}
        for time in times:
            frame = av.VideoFrame.from_ndarray(quarters(), format="rgb24")
            frame.time_base, frame.pts = MILLISECOND, time
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def live(path: Path, times: Sequence[int]) -> Path:
    """A WebM as browsers record it: neither a duration nor a frame rate in its header."""
    write(path, times, "libvpx", live="1")
    content = path.read_bytes()
    at = content.index(b"\x23\xe3\x83\x84")  # DefaultDuration, of 4 bytes
    path.write_bytes(content[:at] + b"\xec\x86" + bytes(6) + content[at + 8 :])  # a Void
    return path


def matrix(path: Path, *values: int) -> Path:
    """An MP4 whose track is shown through the matrix a b c d x y: x' = a x + c y + x, y' = b x + d y + y."""
    write(path, STEADY)
    content = bytearray(path.read_bytes())
    a, b, c, d, x, y = (value << 16 for value in values)
    struct.pack_into(">9i", content, content.index(b"tkhd") + 44, a, b, 0, c, d, 0, x, y, 1 << 30)
    path.write_bytes(content)
    return path


def trimmed(path: Path, begin: int, length: int) -> Path:
    """An MP4 whose edit list shows a part: milliseconds."""
    write(path, STEADY)
    with av.open(str(path)) as file:
        begin = round(begin / 1000 / file.streams.video[0].time_base)
    content = bytearray(path.read_bytes())
    struct.pack_into(">Ii", content, content.index(b"elst") + 12, length, begin)
    struct.pack_into(">I", content, content.index(b"mvhd") + 20, length)
    path.write_bytes(content)
    return path


def milliseconds(path: Path, every: int = 1) -> list[int]:
    return [round(1000 * frame.time) for frame in videos.frames(str(path), every)]


def draw(folder: Path, path: Path, every: int = 1) -> av.container.InputContainer:
    """The drawn video of a video."""
    nothing = pd.DataFrame({"reason": ["no face was found"]})
    with drawn.Drawings(folder / "drawn", {}, every) as drawings:
        for picture in sources.pictures([str(path)], every):
            drawings.add(picture, picture.pixels, nothing)
    return av.open(str(folder / "drawn" / f"{path.stem}.mp4"))


def seconds(video: av.container.InputContainer) -> float:
    """Its length by its frames: their number by their rate."""
    stream = video.streams.video[0]
    return float(stream.frames / stream.average_rate)


# -- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "mpeg4"), ("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.ts", "libx264"), ("a.webm", "libvpx")],
)
@pytest.mark.parametrize("start", [0, 500])
def test_frames_have_their_own_times_from_where_the_video_starts(
    name: str, codec: str, start: int, tmp_path: Path
) -> None:
    path = write(tmp_path / name, [start + time for time in WAITS], codec)
    assert milliseconds(path) == WAITS


def test_a_recording_of_a_browser_has_its_own_times(tmp_path: Path) -> None:
    assert milliseconds(live(tmp_path / "a.webm", WAITS)) == WAITS


def test_every_so_manieth_frame_has_its_own_time(tmp_path: Path) -> None:
    assert milliseconds(write(tmp_path / "a.mp4", WAITS), every=4) == WAITS[::4]


def test_a_part_that_is_shown_starts_at_nought(tmp_path: Path) -> None:
    assert milliseconds(trimmed(tmp_path / "a.mp4", 400, 400)) == STEADY[:10]


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_frames_without_timestamps_go_by_the_rate(codec: str, tmp_path: Path) -> None:
    assert milliseconds(write(tmp_path / "a.avi", STEADY, codec, rate=25)) == STEADY


# -- a drawn video lasts as long --------------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "b.webm"])
def test_a_drawn_video_lasts_as_long_where_frames_wait(name: str, every: int, tmp_path: Path) -> None:
    path = live(tmp_path / name, WAITS) if name == "b.webm" else write(tmp_path / name, WAITS, CODECS[name[2:]])
    assert seconds(draw(tmp_path, path, every)) == pytest.approx(2.52, abs=0.04)


CODECS = {"mp4": "mpeg4", "webm": "libvpx"}


def test_a_video_of_a_constant_rate_keeps_it(tmp_path: Path) -> None:
    stream = draw(tmp_path, write(tmp_path / "a.mp4", STEADY, rate=25)).streams.video[0]
    assert (stream.frames, stream.average_rate) == (len(STEADY), 25)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_the_last_frame_is_shown_while_the_sound_goes_on(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with av.open(str(tmp_path / name), "w") as file:
        video = file.add_stream("mpeg4", rate=25, width=64, height=48, pix_fmt="yuv420p")
        sound = file.add_stream("aac", rate=8000, layout="mono")
        for _ in range(30):
            file.mux(video.encode(av.VideoFrame.from_ndarray(quarters(), format="rgb24")))
        for number in range(33):  # of 1,024 samples: 4.2 seconds
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            silence.sample_rate, silence.pts = 8000, 1024 * number
            file.mux(sound.encode(silence))
        file.mux([*video.encode(), *sound.encode()])
    assert seconds(draw(tmp_path, tmp_path / name)) == pytest.approx(4.2, abs=0.2)
    assert not caplog.text


def test_a_drawn_video_of_a_header_of_1000_frames_a_second_stays_small(tmp_path: Path) -> None:
    assert draw(tmp_path, live(tmp_path / "a.webm", WAITS)).streams.video[0].average_rate <= 60


def test_a_drawing_of_a_camera_lasts_as_long_as_it_was_watched(tmp_path: Path) -> None:
    nothing = pd.DataFrame({"reason": ["no face was found"]})
    with drawn.Drawings(tmp_path, {}, every=1) as drawings:
        for number, time in enumerate([0.5, 0.6, 3.0]):
            drawings.add(Picture("camera:0", frame=number, time=time, rate=30.0), quarters(), nothing)
    assert seconds(av.open(str(tmp_path / "camera_0.mp4"))) == pytest.approx(3.0, abs=0.05)


def test_a_frame_of_another_size_is_drawn_whole_with_its_proportions(tmp_path: Path) -> None:
    nothing = pd.DataFrame({"reason": ["no face was found"]})
    with drawn.Drawings(tmp_path, {}, every=1) as drawings:
        for number, size in enumerate([(64, 48), (24, 48), (640, 480)]):
            picture = Picture("a.webm", frame=number, time=number / 5, until=(number + 1) / 5, rate=5.0)
            drawings.add(picture, np.full((size[1], size[0], 3), 200, np.uint8), nothing)
    shown = [frame.to_ndarray(format="gray") for frame in av.open(str(tmp_path / "a.mp4")).decode(video=0)]
    assert [frame[24].mean().round(-1) for frame in shown] == [200, pytest.approx(200 * 24 / 64, abs=10), 200]


# -- cut short --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "options"), [("a.mp4", {"movflags": "faststart"}), ("a.webm", {}), ("a.mkv", {})])
def test_a_file_that_was_cut_is_told(
    name: str, options: dict, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / name, STEADY, "libvpx" if name == "a.webm" else "mpeg4", rate=25, **options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 0 < len(milliseconds(path)) < len(STEADY)
    assert "a." in caplog.text and "was cut short: it ends at" in caplog.text


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_a_file_whose_rate_varies_was_not_cut(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert milliseconds(write(tmp_path / name, WAITS, CODECS[name[2:]]))
    assert not caplog.text


def test_a_part_that_is_shown_was_not_cut(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert milliseconds(trimmed(tmp_path / "a.mp4", 400, 400))
    assert not caplog.text


# -- turned, mirrored -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "corners"),
    [
        ((1, 0, 0, 1, 0, 0), (RED, GREEN, BLUE, GREY)),
        ((0, 1, -1, 0, 48, 0), (BLUE, RED, GREY, GREEN)),
        ((-1, 0, 0, -1, 64, 48), (GREY, BLUE, GREEN, RED)),
        ((0, -1, 1, 0, 0, 64), (GREEN, GREY, RED, BLUE)),
        ((-1, 0, 0, 1, 64, 0), (GREEN, RED, GREY, BLUE)),
        ((1, 0, 0, -1, 0, 48), (BLUE, GREY, RED, GREEN)),
        ((0, 1, 1, 0, 0, 0), (RED, BLUE, GREEN, GREY)),
        ((0, -1, -1, 0, 48, 64), (GREY, GREEN, BLUE, RED)),
    ],
)
def test_a_video_is_shown_as_its_matrix_says(values: tuple, corners: tuple, tmp_path: Path) -> None:
    pixels = next(videos.frames(str(matrix(tmp_path / "a.mp4", *values)))).pixels
    height, width = pixels.shape[:2]
    assert (width, height) == ((64, 48) if values[0] else (48, 64))
    shown = [pixels[y * height // 4, x * width // 4] for y in (1, 3) for x in (1, 3)]
    assert np.abs(np.array(shown, int) - corners).max() < 30


# -- sizes that change ------------------------------------------------------------------------------------------------


def changing(path: Path, codec: str, sizes: Sequence[tuple[int, int]]) -> Path:
    """A video of four frames of each size, as calls are recorded."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=25, width=sizes[0][0], height=sizes[0][1])
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        time = 0
        for width, height in sizes:
            encoder = av.CodecContext.create(codec, "w")
            encoder.width, encoder.height, encoder.time_base, encoder.framerate = width, height, MILLISECOND, 25
            encoder.pix_fmt = stream.pix_fmt
            packets = []
            for _ in range(4):
                frame = av.VideoFrame.from_ndarray(quarters(width, height), format="rgb24")
                frame.time_base, frame.pts = MILLISECOND, time
                packets += encoder.encode(frame)
                time += 40
            for packet in [*packets, *encoder.encode()]:
                packet.stream, packet.time_base = stream, MILLISECOND
                file.mux(packet)
    return path


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.webm", "libvpx"), ("a.webm", "libvpx-vp9"), ("a.ts", "libx264"), ("a.ts", "libx265"), ("a.mkv", "mjpeg")],
)
def test_frames_whose_size_changes_have_their_own(name: str, codec: str, tmp_path: Path) -> None:
    sizes = [(64, 48), (48, 64), (128, 96), (64, 48)]
    frames = list(videos.frames(str(changing(tmp_path / name, codec, sizes))))
    assert [frame.pixels.shape[1::-1] for frame in frames] == [size for size in sizes for _ in range(4)]
    corners = [frames[6].pixels[y * 16, x * 12] for y in (1, 3) for x in (1, 3)]
    assert np.abs(np.array(corners, int) - (RED, GREEN, BLUE, GREY)).max() < 60


def test_a_drawn_video_holds_all_frames_whose_size_changes(tmp_path: Path) -> None:
    path = changing(tmp_path / "a.webm", "libvpx", [(64, 48), (48, 64), (128, 96)])
    assert draw(tmp_path, path).streams.video[0].frames == 12
