"""Face detection: the golden photograph, pictures of any size, and answers that know no neighbours."""

from __future__ import annotations

from pathlib import Path

import cv2
import matplotlib.cbook
import numpy as np
import pytest

from pipeline.faces.detector import LONGEST, Detector, Face

EYES = ((222, 190), (305, 186))  # Grace Hopper's, in pixels of the photograph
FACE = (180, 85, 345, 310)  # left, top, right, bottom, from the hair to the chin


@pytest.fixture(scope="module")
def detect() -> Detector:
    return Detector()


@pytest.fixture(scope="module")
def hopper() -> np.ndarray:
    path = Path(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def is_hopper(face: Face, scale: float = 1.0, left: float = 0.0) -> bool:
    """Whether eyes and box lie where hers are, in a copy of that scale and place."""
    eyes = np.subtract(face.landmarks[:2], (left, 0)) / scale
    x, y, width, height = face.box
    corners = np.array([x - left, y, x - left + width, y + height]) / scale
    return bool(np.abs(eyes - EYES).max() < 10 and np.abs(corners - FACE).max() < 40)


def holds(face: Face) -> bool:
    """Whether all landmarks lie in the box."""
    x, y, width, height = face.box
    return all(x < px < x + width and y < py < y + height for px, py in face.landmarks)


def test_the_photograph_has_one_face(detect: Detector, hopper: np.ndarray) -> None:
    (found,) = detect([hopper])
    assert len(found) == 1
    assert is_hopper(found[0]) and holds(found[0])
    assert 0.9 < found[0].confidence <= 1


def test_landmarks_are_named_as_seen_in_the_picture(detect: Detector, hopper: np.ndarray) -> None:
    left, right, nose, mouth_left, mouth_right = detect([hopper])[0][0].landmarks
    assert left[0] < nose[0] < right[0] and mouth_left[0] < mouth_right[0]
    assert max(left[1], right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])


def test_side_by_side_are_two_faces_most_confident_first(detect: Detector, hopper: np.ndarray) -> None:
    (found,) = detect([np.hstack([hopper, hopper])])
    assert len(found) == 2
    assert found[0].confidence >= found[1].confidence
    one, two = sorted(found, key=lambda face: face.box[0])
    assert is_hopper(one) and is_hopper(two, left=hopper.shape[1])


@pytest.mark.parametrize("side", [256, 512])
def test_noise_has_no_face(detect: Detector, side: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    assert detect([noise]) == [[]]


@pytest.mark.parametrize("shape", [(20, 20), (1, 1), (11, 300), (13, 4000), (64, 64)])
def test_blank_pictures_of_odd_sizes_have_no_face(detect: Detector, shape: tuple[int, int]) -> None:
    assert detect([np.full((*shape, 3), 128, np.uint8)]) == [[]]


def test_no_pictures(detect: Detector) -> None:
    assert detect([]) == []


def test_neighbours_change_nothing(detect: Detector, hopper: np.ndarray) -> None:
    pictures = [hopper, hopper[:, ::-1], hopper[40:400, 60:].copy(), np.zeros((20, 20, 3), np.uint8), hopper[::2, ::2]]
    together = detect(pictures)
    assert together == [detect([picture])[0] for picture in pictures]
    assert together[::-1] == detect(pictures[::-1])
    assert [len(found) for found in together] == [1, 1, 1, 0, 1]


def test_grey(detect: Detector, hopper: np.ndarray) -> None:
    grey = cv2.cvtColor(cv2.cvtColor(hopper, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    (found,) = detect([grey])
    assert len(found) == 1 and is_hopper(found[0])


@pytest.mark.parametrize("scale", [0.2, 0.5, 2.0, 6.0])
def test_boxes_are_in_pixels_of_the_picture_given(detect: Detector, hopper: np.ndarray, scale: float) -> None:
    picture = cv2.resize(hopper, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    assert scale < 2 or max(picture.shape) > LONGEST
    (found,) = detect([picture])
    assert len(found) == 1 and is_hopper(found[0], scale)


def test_boxes_stay_within_the_picture(detect: Detector, hopper: np.ndarray) -> None:
    crops = [hopper[top:, left:] for top in (120, 130, 140) for left in (0, 190, 200)]
    found = [(crop, face.box) for crop, faces in zip(crops, detect(crops), strict=True) for face in faces]
    for crop, (x, y, width, height) in found:
        assert x >= 0 and y >= 0 and x + width <= crop.shape[1] and y + height <= crop.shape[0]
    assert any(0 in box[:2] for _, box in found)


def test_a_small_face_in_a_large_picture_is_found(detect: Detector, hopper: np.ndarray) -> None:
    picture = np.full((1024, 1024, 3), 110, np.uint8)
    picture[600:680, 300:380] = cv2.resize(hopper[60:380, 100:420], (80, 80), interpolation=cv2.INTER_AREA)
    (found,) = detect([picture])
    assert len(found) == 1
    assert 300 < found[0].box[0] < 380 and 600 < found[0].box[1] < 680
