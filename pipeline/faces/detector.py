"""Faces in pictures: the three networks of MTCNN with the weights of the package `mtcnn`, about six times as fast.

Zhang et al. 2016, "Joint Face Detection and Alignment using Multitask Cascaded Convolutional Networks": P-Net proposes
windows in a pyramid of ever smaller copies, R-Net and O-Net judge them. Stages, thresholds and weights are the
library's; ours is a pyramid without the levels for the smallest faces, and networks that are compiled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import keras
import numpy as np
import tensorflow as tf
from mtcnn.stages import StageONet, StagePNet, StageRNet
from mtcnn.stages.base import StageBase
from mtcnn.utils import bboxes as boxing
from mtcnn.utils.images import normalize_images

from pipeline.utils.errors import RequestError

LONGEST = 1024  # pixels of a picture's longer side; a larger picture is scaled down
SMALLEST_FACE = 20  # pixels of a face's side: P-Net sees 12 of them
SMALLEST_SHARE = 0.04  # of the longer side: a smaller face is background, and looking for it takes most of the time
CELL = 12  # pixels: side of P-Net's window
FACTOR = 0.709  # from level to level of the pyramid: half the area
PROPOSED = 0.6  # least score of a window of P-Net; R-Net and O-Net keep mtcnn's 0.7 and 0.8
ALIKE, ALIKE_ACROSS = 0.5, 0.7  # overlap of two windows that are one: in a level, across levels
CONFIDENCE = 0.9  # from which a detection counts as a face
DEVICE = "CPU:0"  # as in mtcnn: the same faces on every machine


@dataclass(frozen=True)
class Face:
    """A face found, in pixels of the upright picture.

    `box` is x, y, width, height and lies within the picture. `landmarks` are (x, y) of left eye, right eye, nose,
    left and right corner of the mouth, left as in the picture. `confidence` is 0..1.
    """

    box: tuple[float, float, float, float]
    landmarks: tuple[tuple[float, float], ...]
    confidence: float

    @property
    def is_sure(self) -> bool:
        """Whether it counts as a face, unless a user asks for less."""
        return self.confidence >= CONFIDENCE


class Detector:
    """Finds faces; about a second to make. What it finds in a picture depends on that picture and `threads` only.

    Pictures go through one by one: batches were no faster (P-Net's first levels fill a core, and its caches), and
    would let the neighbours in a batch change the last bits of a score.
    """

    def __init__(self, threads: int | None = None) -> None:
        """`threads` are TensorFlow's and OpenCV's of this process; None leaves them alone.

        RuntimeError where TensorFlow is already at work with another number, RequestError with JAX.
        """
        if keras.backend.backend() != "tensorflow":  # mtcnn asks the networks' answers for `.numpy()`
            raise RequestError("mtcnn finds faces with TensorFlow only: set KERAS_BACKEND=tensorflow for this command")
        if threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
            cv2.setNumThreads(threads)
        with tf.device(DEVICE):
            self._proposer = compiled(StagePNet(), None)
            self._judges = compiled(StageRNet(), 24), compiled(StageONet(), 48)

    def __call__(self, pictures: Sequence[np.ndarray]) -> list[list[Face]]:
        """Faces of each picture, most confident first; pictures are uint8 RGB [H, W, 3] of any sizes."""
        with tf.device(DEVICE):
            return [self._find(picture) for picture in pictures]

    def _find(self, picture: np.ndarray) -> list[Face]:
        """Propose windows in a small copy, then judge them at full sharpness, where faces are lost in a small one."""
        scale = min(1.0, LONGEST / max(picture.shape))
        picture = resized(picture, scale)
        windows = self._propose(picture)
        normalized = normalize_images(picture[None].astype(np.float32))
        for judge in self._judges:
            if len(windows):
                windows = judge(images_normalized=normalized, bboxes_batch=windows)
        return [make_face(row, picture.shape, scale) for row in windows]

    def _propose(self, picture: np.ndarray) -> np.ndarray:
        """Square windows [N, 6] that may hold a face: 0, left, top, right, bottom, score."""
        found = [np.empty((0, 6))]
        for level, scale in pyramid(picture):
            answer = self._proposer.model(normalize_images(level[None].astype(np.float32)))
            windows = boxing.upscale_bboxes(boxing.generate_bounding_box(*answer, PROPOSED), np.array([scale]))
            found.append(boxing.smart_nms_from_bboxes(windows, ALIKE, initial_sort=False))
        return boxing.resize_to_square(boxing.smart_nms_from_bboxes(np.concatenate(found), ALIKE_ACROSS))


def compiled(stage: StageBase, side: int | None) -> StageBase:
    """The stage with its network as one graph: layer by layer, a handful of windows takes thrice as long.

    `side` is that of the network's pictures; None stands for any. The graph is traced once for all sizes and numbers.
    """
    pictures = tf.TensorSpec((None, side, side, 3), tf.float32)
    StageBase.__init__(stage, stage.name, stage.id, model=tf.function(stage.model, input_signature=[pictures]))
    return stage


def pyramid(picture: np.ndarray) -> Iterator[tuple[np.ndarray, float]]:
    """Ever smaller copies with their scales: from the smallest face filling P-Net's window to the picture filling it.

    All are made from the first: from the picture itself they cost five times as much, from one another they lose faces.
    """
    scale, times = CELL / max(SMALLEST_FACE, SMALLEST_SHARE * max(picture.shape)), 1.0
    first = level = resized(picture, scale)
    while min(level.shape[:2]) >= CELL:  # mtcnn goes on where its `min_face_size` is above 30, and then finds nothing
        yield level, scale * times
        times *= FACTOR
        level = resized(first, times)


def resized(picture: np.ndarray, scale: float) -> np.ndarray:
    """The picture with each side times `scale`, areas averaged as the networks have learnt it."""
    if scale == 1.0:
        return picture
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def make_face(row: np.ndarray, shape: tuple[int, ...], scale: float) -> Face:
    """From 0, left, top, right, bottom, score, five x, five y in a picture of `shape` that was scaled by `scale`."""
    sides = np.array([shape[1], shape[0]] * 2)
    left, top, right, bottom = (np.clip(row[1:5], 0, sides) / scale).tolist()
    points = (row[6:].reshape(2, 5).T / scale).tolist()
    return Face((left, top, right - left, bottom - top), tuple((x, y) for x, y in points), float(row[5]))
