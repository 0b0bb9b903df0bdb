"""How the drawn faces of the sample are drawn: persons, their pictures, and every stroke.

Age and gender act on a drawing in many weak ways, each with its own noise and none of them certain (the gender cues are
a cartoonist's conventions: lashes, lips, brows, jaw, beard, blush, earrings). Place, size, pose, light, colours and
background vary far more, so whoever wants the answer must look closely. A few labels are wrong on purpose, as in life.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count as count_from

import cv2
import numpy as np

from pipeline.datasets.sample import ATTRIBUTES

CLASSES = {target.name: target.classes for target in ATTRIBUTES}

_SIZE, _CROP = 128, 256  # drawn at twice the size and shrunk: the cheapest good anti-aliasing
_SHIFT = 4  # OpenCV's fixed-point bits for sub-pixel corners
_WRONG_GENDER, _AGE_NOISE = 0.03, 2.0  # share of pictures whose label is flipped; years (standard deviation)
_AGEING = ("build", "grey", "hairline", "forehead", "eyes", "folds", "spots", "pallor")

# Colours are BGR, as OpenCV has them.
_SKIN = np.array(
    [(200, 224, 250), (158, 196, 240), (128, 172, 224), (92, 136, 196), (62, 96, 150), (48, 68, 108)], float
)
_LUMA = np.array((0.114, 0.587, 0.299))
_HAIR = {"black": (36, 32, 36), "brown": (38, 62, 100), "blond": (104, 178, 218), "red": (36, 74, 176)}
_GOLD = np.array((70, 205, 250), float)
_INK = np.array((34, 28, 36), float)
_ROSE = np.array((84, 58, 196), float)
_IRIS = np.array([(46, 66, 96), (40, 52, 70), (160, 120, 70), (90, 130, 90), (120, 116, 110)], float)
_SHADOW = np.array([(170, 90, 130), (190, 130, 70), (130, 150, 70), (130, 80, 190)], float)

# How likely a woman's and a man's drawing has each hair style: they differ, but little.
_STYLE_ODDS = {
    "female": (0.03, 0.08, 0.16, 0.13, 0.20, 0.23, 0.17),
    "male": (0.16, 0.26, 0.18, 0.20, 0.07, 0.07, 0.06),
}
# Per style: the cap's size (1 is the skull), the hairline's height in the middle, and how squarely it turns down.
_CAP = {
    "cropped": (1.06, -0.60, 7), "curly": (1.13, -0.58, 4), "parted": (1.14, -0.52, 5),
    "bob": (1.12, -0.34, 9), "long": (1.10, -0.74, 1.6), "bun": (1.07, -0.66, 4),
}  # fmt: skip


@dataclass(frozen=True)
class Person:
    """What all pictures of one person share. Lengths are in half heads; cues of gender run 0 (his) to 1 (hers)."""

    subject: str
    gender: str
    age: float  # 0 to 87 years, at the first picture
    slip: dict[str, float]  # per sign of ageing, by how many years it runs ahead of the person's age
    hair_style: str
    hair_colour: str
    glasses: str
    brows: str
    skin: np.ndarray
    hair: np.ndarray
    grey: np.ndarray  # from steel to white
    iris: np.ndarray
    coat: np.ndarray
    width: float  # 0.68 to 0.82
    chin: float  # 0.96 to 1.10
    eye_gap: float  # 0.29 to 0.36, from the middle of the face to a pupil
    eye_size: float  # 0.15 to 0.185
    nose: float  # 0.10 to 0.17
    mouth: float  # 0.22 to 0.32
    shadow: np.ndarray  # the colour on the lids, laid on as strongly as the lashes
    earring: float
    lash: float
    lip: float
    brow: float
    jaw: float
    beard: float  # 0 none, 0.4 stubble, 1 full; grows from 12 years on


@dataclass(frozen=True)
class Picture:
    """One picture of a person: what is drawn, and the labels it is given."""

    person: Person
    number: int
    seed: tuple[int, ...]
    age: float  # the age that is drawn
    label_age: float
    label_gender: str
    expression: str
    background: str

    @property
    def file(self) -> str:
        return f"pictures/{self.person.subject}_{self.number}.jpg"

    @property
    def youth(self) -> float:
        """1 for a newborn's proportions, 0 for an adult's."""
        return 1 - self.sign("build", 0, 20)

    @property
    def eye_line(self) -> float:
        return -0.04 + 0.10 * self.youth

    @property
    def mouth_line(self) -> float:
        return 0.54 + 0.04 * self.youth

    @property
    def skin(self) -> np.ndarray:
        """Skin loses colour, not lightness, with the years."""
        return _mix(self.person.skin, self.person.skin @ _LUMA, 0.6 * self.sign("pallor", 10, 85))

    @property
    def hair(self) -> np.ndarray:
        return _mix(self.person.hair, self.person.grey, 0.65 * self.sign("grey", 28, 80))

    def sign(self, name: str, begins: float, done: float) -> float:
        """How far one sign of ageing has come, 0 to 1."""
        return min(max((self.age + self.person.slip[name] - begins) / (done - begins), 0.0), 1.0)

    def row(self) -> dict[str, object]:
        labels = {"path": self.file, "subject": self.person.subject, "age": self.label_age, "gender": self.label_gender}
        return labels | {name: getattr(self, name, None) or getattr(self.person, name) for name in CLASSES}


class Pen:
    """Draws on an image in face units: (0, 0) is the middle of the face, 1 half a head's height, y points down."""

    def __init__(self, image: np.ndarray, matrix: np.ndarray, turn: np.ndarray) -> None:
        self.image, self.matrix, self.turn = image, matrix, turn
        self.scale = float(np.hypot(*matrix[:, 0]))

    def place(self, points: np.ndarray) -> np.ndarray:
        """Face units to OpenCV's fixed-point pixels; what lies nearer the viewer moves further as the head turns."""
        points = np.asarray(points, float)
        near = np.maximum(0, 1 - (points * points).sum(-1, keepdims=True))
        pixels = (points + near * self.turn) @ self.matrix[:, :2].T + self.matrix[:, 2]
        return np.round(pixels * (1 << _SHIFT)).astype(np.int32)

    def fill(self, points: np.ndarray, colour: np.ndarray) -> None:
        cv2.fillPoly(self.image, [self.place(points)], _bgr(colour), cv2.LINE_AA, _SHIFT)

    def lines(self, strokes: np.ndarray, colour: np.ndarray, width: float) -> None:
        """Any number of strokes, of shape (strokes, points, 2), all of one colour and width."""
        if len(strokes):
            thick = max(1, round(width * self.scale))
            cv2.polylines(self.image, list(self.place(strokes)), False, _bgr(colour), thick, cv2.LINE_AA, _SHIFT)

    def glaze(self, points: np.ndarray, colour: np.ndarray, share: float) -> None:
        """Fill with a colour that lets (1 - share) of what lies below shine through."""
        below = self.image.copy()
        self.fill(points, colour)
        cv2.addWeighted(self.image, share, below, 1 - share, 0, dst=self.image)


# --- small geometry --------------------------------------------------------------------------------------------------


def _bgr(colour: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in colour)


def _mix(one: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    return one + (other - one) * share


def _oval(x: float, y: float, wide: float, high: float, points: int = 20) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.stack([x + wide * np.sin(angle), y - high * np.cos(angle)], axis=1)


def _curve(*knots: tuple[float, float], points: int = 9) -> np.ndarray:
    """The parabola through three knots, at equal steps from the first to the last."""
    t = np.linspace(0, 1, points)[:, None]
    first, middle, last = np.array(knots)
    return first * (1 - t) * (1 - 2 * t) + middle * 4 * t * (1 - t) + last * t * (2 * t - 1)


def _both_sides(strokes: np.ndarray) -> np.ndarray:
    """The strokes (n, points, 2) and their mirror images."""
    strokes = np.asarray(strokes)
    return np.concatenate([strokes, strokes * (-1, 1)])


def _skull(pic: Picture, angle: np.ndarray, size: float = 1.0) -> np.ndarray:
    """Points of the head's edge at angles from the crown: round above, and below as square as the jaw."""
    person, x, y = pic.person, np.sin(angle), -np.cos(angle)
    power = np.where(y > 0, 2.75 - 0.75 * person.jaw - 0.2 * pic.youth, 2.1)
    reach = size * (np.abs(x) ** power + np.abs(y) ** power) ** (-1 / power)
    x, y = x * reach * (person.width + 0.07 * pic.youth), y * reach
    x = x * (1 - (0.10 + 0.12 * person.jaw) * np.maximum(y, 0))
    return np.stack([x, y * np.where(y > 0, person.chin - 0.07 * pic.youth, 0.98)], axis=1)


# --- the layers of a drawing, from the back to the front -------------------------------------------------------------


def _background(kind: str, rng: np.random.Generator) -> np.ndarray:
    """A crop with one of the six backgrounds in two random colours."""
    one, two = (_mix(rng.uniform(40, 235, 3), np.full(3, rng.uniform(60, 220)), 0.65) for _ in range(2))
    if kind == "gradient":
        ramp = rng.permutation([[one, two], [two, _mix(one, two, 0.5)]]).astype(np.float32)
        return cv2.resize(ramp, (_CROP, _CROP), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    image = np.full((_CROP, _CROP, 3), one, np.uint8)
    step = int(rng.integers(26, 44))
    y, x = np.ogrid[:_CROP, :_CROP]
    y, x = y + rng.integers(step), x + rng.integers(step)
    if kind == "stripes":
        image[(x + y * int(rng.integers(-1, 2))) // (step // 2) % 2 == 0] = two
    elif kind == "checks":
        image[(x // step + y // step) % 2 == 0] = two
    elif kind == "dots":
        image[(x % step - step / 2) ** 2 + (y % step - step / 2) ** 2 < step**2 / 12] = two
    elif kind == "bokeh":
        image = cv2.resize(image, (_CROP // 4, _CROP // 4))
        for x, y, size in rng.integers((0, 0, 3), (_CROP // 4, _CROP // 4, 9), (16, 3)).tolist():
            cv2.circle(image, (x, y), size, _bgr(_mix(one, two, rng.uniform(0.3, 1))), -1)
        image = cv2.resize(cv2.GaussianBlur(image, (0, 0), 1.2), (_CROP, _CROP), interpolation=cv2.INTER_LINEAR)
    return image


def _strands(pen: Pen, pic: Picture, start: np.ndarray, end: np.ndarray, rng: np.random.Generator) -> None:
    """Comb the hair between two curves: dark and light strands, and with the years grey ones."""
    number = round(12 + 55 * np.linalg.norm(np.diff(start, axis=0), axis=1).sum())
    grey = pic.sign("grey", 28, 80)
    at = np.sort(rng.uniform(0, len(start) - 1.001, number))
    step, part = at.astype(int), (at % 1)[:, None]
    roots, tips = (c[step] * (1 - part) + c[step + 1] * part for c in (start, end))
    along = rng.uniform(0, 0.5, (number, 1, 1)) + np.linspace(0, 0.5, 5)[:, None]
    strokes = roots[:, None] * (1 - along) + tips[:, None] * along + rng.normal(0, 0.008, (number, 5, 2))
    which = rng.permutation(number)
    silver = round(0.7 * grey * number)
    for some, colour in (
        (which[silver::2], pic.hair * 0.72),
        (which[silver + 1 :: 2], _mix(pic.hair, np.full(3, 255.0), 0.16)),
        (which[:silver], np.minimum(pic.person.grey + 25, 255)),
    ):
        pen.lines(strokes[some], colour, 0.016)


def _hair_behind(pen: Pen, pic: Picture, rng: np.random.Generator) -> None:
    style, dark = pic.person.hair_style, pic.hair * 0.85
    if style == "bun":
        pen.fill(_oval(0, -1.16, 0.30, 0.26), dark)
        _strands(pen, pic, *np.split(_oval(0, -1.16, 0.29, 0.25, 24), 2), rng)
    if style in ("bob", "long"):
        length, flare = (0.72, 1.16) if style == "bob" else (1.55, 1.22)
        crown = _skull(pic, np.linspace(-1.6, 1.6, 24), flare)
        hem = np.stack([crown[:, 0] * 1.04, np.full(24, length) - 0.25 * crown[:, 0] ** 2], axis=1)
        pen.fill(np.concatenate([crown, hem[::-1]]), dark)
        _strands(pen, pic, crown, hem, rng)


def _body(pen: Pen, pic: Picture, rng: np.random.Generator) -> None:
    """Neck and shoulders; both grow with the person, and a little with the jaw."""
    person, grown = pic.person, 1 - pic.youth
    neck = 0.38 + 0.04 * grown - 0.14 * person.jaw
    shoulder = 1.05 + 0.35 * grown
    collar = 1.18 + 0.06 * grown
    pen.fill([(-neck, 0.4), (neck, 0.4), (neck * 1.1, 1.5), (-neck * 1.1, 1.5)], pic.skin * 0.84)
    slope = _curve((-shoulder, 2.1), (-neck * 1.25, collar), (-neck * 0.2, collar + 0.24))
    coat = np.concatenate([slope, slope[::-1] * (-1, 1), [(shoulder, 3.5), (-shoulder, 3.5)]])
    pen.fill(coat, person.coat)
    pen.lines(_both_sides([slope[3:]]), person.coat * 0.7, 0.05)


def _head(pen: Pen, pic: Picture, rng: np.random.Generator) -> None:
    person = pic.person
    if person.hair_style not in ("bob", "long"):
        for side in (-1, 1):
            pen.fill(_oval(side * (person.width + 0.02), pic.eye_line + 0.14, 0.11, 0.19), pic.skin * 0.92)
            pen.fill(_oval(side * (person.width + 0.03), pic.eye_line + 0.14, 0.05, 0.11), pic.skin * 0.76)
    pen.fill(_skull(pic, np.linspace(0, 2 * np.pi, 48, endpoint=False)), pic.skin)


def _shade(pen: Pen, pic: Picture, rng: np.random.Generator) -> None:
    """Soft light, shadow and blush: painted small, where 128 changes nothing, then blurred and multiplied in."""
    small = Pen(np.full((_CROP // 4, _CROP // 4, 3), 128, np.uint8), pen.matrix / 4, pen.turn)
    lit = rng.choice((-1, 1))
    edge = _skull(pic, np.linspace(0.3, np.pi, 20))
    small.fill(np.concatenate([edge, edge[::-1] * (0.72, 0.97)]) * (-lit, 1), np.full(3, 92))
    small.fill(_oval(0.36 * lit, 0.22, 0.22, 0.20), np.full(3, 146))
    small.fill(_oval(0.15 * lit, -0.55, 0.36, 0.18), np.full(3, 144))
    small.fill(_oval(0, 1.1, 0.5, 0.12), np.full(3, 84))
    small.fill(_oval(-0.08 * lit, 0.12, 0.06, 0.22), np.full(3, 108))
    blush = _mix(np.array((126, 126, 128)), np.array((72, 94, 150)), pic.person.lip)
    for side in (-1, 1):
        small.fill(_oval(side * pic.person.eye_gap, pic.eye_line - 0.05, 0.2, 0.13), np.full(3, 112))
        small.fill(_oval(side * 0.42, pic.eye_line + 0.38, 0.19, 0.15), blush)
    soft = cv2.resize(cv2.GaussianBlur(small.image, (0, 0), 2.2), (_CROP, _CROP), interpolation=cv2.INTER_LINEAR)
    cv2.multiply(pen.image, soft, dst=pen.image, scale=1 / 128)


def _wrinkles(pen: Pen, pic: Picture, rng: np.random.Generator) -> None:
    """Forehead, corners of the eyes, bags, folds beside the mouth, spots: each at its own pace."""
    brow, eyes, folds = pic.sign("forehead", 26, 82), pic.sign("eyes", 20, 80), pic.sign("folds", 14, 80)
    gap, eye, mouth, lips = pic.person.eye_gap, pic.eye_line, pic.mouth_line, pic.person.mouth

    def crease(strokes: np.ndarray, depth: float, mirror: bool = True) -> None:
        # A dark line with a light one below it: plain to see from nearby, and no darker patch from afar.
        if depth > 0.03:
            strokes = _both_sides(strokes) if mirror else np.asarray(strokes)
            wide = 0.018 + 0.030 * depth
            pen.lines(strokes + (0, wide), np.minimum(pic.skin * (1.06 + 0.38 * depth), 255), wide)
            pen.lines(strokes, pic.skin * (0.82 - 0.46 * depth), wide)

    for row in range(4):
        depth = min(max(brow * 4 - row, 0.0), 1.0)
        half, y = 0.16 + 0.20 * depth, -0.38 - 0.075 * row
        crease([_curve((-half, y + 0.02), (rng.uniform(-0.05, 0.05), y - 0.02), (half, y + 0.02))], depth, False)
    corner, reach = np.array((gap + 0.18, eye)), 0.04 + 0.16 * eyes
    fan = [[corner, corner + (reach, slope * reach)] for slope in (-0.6, -0.1, 0.4, 0.9)]
    crease(fan, eyes)
    crease([_curve((gap - 0.12, eye + 0.14), (gap, eye + 0.16 + 0.05 * eyes), (gap + 0.13, eye + 0.12))], eyes)
    tip = (lips * 1.1 + 0.05, mouth - 0.12 + 0.24 * folds)
    crease([_curve((0.17, mouth - 0.26), (lips * 0.9 + 0.05, mouth - 0.16), tip)], folds)
    crease([_curve((lips * 0.95, mouth + 0.05), (lips + 0.01, mouth + 0.13), (lips, mouth + 0.22))], folds * 2 - 1)


def _spots(pen: Pen, pic: Picture, rng: np.random.Generator) -> None:
    """A child's freckles over nose and cheeks, and an old face's spots anywhere."""
    freckles = rng.uniform((-0.5, 0.14), (0.5, 0.40), (round(36 * pic.youth), 1, 2))
    old = rng.uniform((-0.6, -0.6), (0.6, 0.5), (round(26 * pic.sign("spots", 40, 85)), 1, 2))
    for at, tint, width in ((freckles, (0.45, 0.58, 0.76), 0.03), (old, (0.7, 0.7, 0.7), 0.045)):
        pen.lines(np.concatenate([at, at + 0.01], axis=1), pic.skin * tint, width)


def _nose(pen: Pen, pic: Picture, rng: np.random.Generator) -> None:
    wide, tip = pic.person.nose * (1 - 0.25 * pic.youth), pic.mouth_line - 0.23 + 0.02 * pic.sign("build", 40, 90)
    dark = pic.skin * 0.62
    wing = _curve((wide * 0.75, tip - 0.09), (wide * 1.15, tip - 0.03), (wide * 0.7, tip + 0.015))
    pen.lines(_both_sides([wing]), dark, 0.022)
    pen.lines([_curve((-wide * 0.4, tip + 0.02), (0, tip + 0.045), (wide * 0.4, tip + 0.02))], dark, 0.022)
    for side in (-1, 1):
        pen.fill(_oval(side * wide * 0.45, tip + 0.005, 0.03, 0.016), pic.skin * 0.42)
    pen.lines([[(0.015, tip - 0.16), (0.01, tip - 0.05)]], _mix(pic.skin, np.full(3, 255.0), 0.3), 0.03)


def _mouth(pen: Pen, pic: Picture, rng: np.random.Generator) -> None:
    """Lips as full and as red as the cue says, in one of three expressions."""
    person, y = pic.person, pic.mouth_line
    wide = person.mouth * (1 - 0.22 * pic.youth) * (0.9 if pic.expression == "neutral" else 1.1)
    lift = {"neutral": 0.0, "smile": 0.075, "open": 0.05}[pic.expression]
    gape = 0.15 if pic.expression == "open" else 0.0
    full = 0.025 + 0.085 * person.lip
    colour = _mix(pic.skin * 0.78, _ROSE, 0.85 * person.lip)
    left, right = (-wide, y - lift), (wide, y - lift)
    above, below = _curve(left, (0, y - 0.01), right), _curve(left, (0, y + gape), right)
    peaks = above - np.array([0, 0.35, 0.7, 1.05, 0.8, 1.05, 0.7, 0.35, 0])[:, None] * (0, full)
    pout = below + np.sin(np.linspace(0, np.pi, 9))[:, None] * (0, full * 1.35)
    pen.fill(np.concatenate([peaks, pout[::-1]]), colour)
    if gape:
        pen.fill(np.concatenate([above, below[::-1]]), _INK + (10, 6, 40))
        pen.fill(np.concatenate([above[1:-1], above[-2:0:-1] + (0, 0.05)]), np.full(3, 238.0))
    pen.lines([above], pic.skin * 0.40, 0.02)
    pen.lines([pout[2:7] + (0, 0.03)], pic.skin * 0.78, 0.02)


def _eyes(pen: Pen, pic: Picture, rng: np.random.Generator) -> None:
    """Almonds between two lids, larger in a child; the lid's shadow, the white, the iris, the lashes."""
    person, half = pic.person, pic.person.eye_size * (1 + 0.28 * pic.youth)
    tall, glance = half * (0.52 + 0.22 * pic.youth), rng.uniform(-0.25, 0.25) * half
    for side in (-1, 1):
        middle = np.array((side * person.eye_gap, pic.eye_line))
        x = np.linspace(-half, half, 11) * side
        arch = 1 - (x / half) ** 2
        upper, lower = np.stack([x, -tall * arch - 0.015], 1) + middle, np.stack([x, 0.75 * tall * arch], 1) + middle
        shadow = upper - np.sin(np.linspace(0, np.pi, 11))[:, None] * (0, 0.11)
        pen.glaze(np.concatenate([upper, shadow[::-1]]), person.shadow, 0.75 * person.lash * (1 - 0.3 * pic.youth))
        pen.fill(np.concatenate([upper, lower[::-1]]), np.full(3, 238.0))
        _iris(pen, person.iris, middle, half, tall, glance)
        pen.lines([lower], pic.skin * 0.66, 0.012)
        _lashes(pen, pic, upper, side)


def _iris(pen: Pen, colour: np.ndarray, middle: np.ndarray, half: float, tall: float, glance: float) -> None:
    """Rim, iris and pupil, each cut off by the lids, and a light."""
    x, y = middle
    for size, paint in ((0.92, colour * 0.6), (0.78, colour), (0.42, _INK)):
        disc = _oval(x + glance, y - 0.01, tall * size, tall * size)
        lid = np.maximum(0, 1 - ((disc[:, 0] - x) / half) ** 2) * tall
        disc[:, 1] = np.clip(disc[:, 1], y - lid - 0.015, y + 0.75 * lid)
        pen.fill(disc, paint)
    pen.fill(_oval(x + glance + 0.03, y - 0.35 * tall, 0.022, 0.022, 8), np.full(3, 255.0))


def _lashes(pen: Pen, pic: Picture, upper: np.ndarray, side: int) -> None:
    """The upper lid's line, and from its outer half lashes as long as the cue says."""
    lash = pic.person.lash
    pen.lines([upper], _mix(pic.skin * 0.45, _INK, lash), 0.016 + 0.022 * lash)
    if lash > 0.2:
        roots = upper[4:]
        away = np.stack([side * np.linspace(0.1, 1.0, 7), np.linspace(-1.0, -0.55, 7)], axis=1)
        pen.lines(np.stack([roots, roots + away * 0.16 * lash], axis=1), _INK, 0.022)


def _brows(pen: Pen, pic: Picture, rng: np.random.Generator) -> None:
    person, gap, y = pic.person, pic.person.eye_gap, pic.eye_line - 0.22
    middle, outer = {"straight": (0.0, 0.01), "arched": (-0.09, 0.05), "angled": (-0.05, -0.10)}[person.brows]
    thick = 0.115 - 0.085 * person.brow
    ridge = _curve((gap - 0.16, y + 0.02), (gap + 0.02, y + middle), (gap + 0.20, y + outer))
    taper = np.linspace(1, 0.35, 9)[:, None] * (0, thick / 2)
    colour = _mix(person.hair * 0.8, person.grey, 0.7 * pic.sign("grey", 45, 90))
    for side in (-1, 1):
        pen.fill(np.concatenate([ridge - taper, (ridge + taper)[::-1]]) * (side, 1), colour)
    hairs = np.stack([ridge + taper, ridge - taper * 1.5 + (0.03, 0)], axis=1)
    pen.lines(_both_sides(hairs), colour * 0.8, 0.010)


def _beard(pen: Pen, pic: Picture, rng: np.random.Generator) -> None:
    """A tint and short hairs along the jaw, on the chin and above the lip; the mouth stays free."""
    grown = pic.person.beard * min(max((pic.age - 12) / 4, 0.0), 1.0)
    if grown == 0:
        return
    edge = _skull(pic, np.linspace(1.75, 2 * np.pi - 1.75, 30))
    inner = edge * (0.66, 0.74)
    tint = _mix(pic.skin * 0.75, pic.hair * 0.8, grown)
    pen.glaze(np.concatenate([edge * 0.98, inner[::-1]]), tint, 0.3 + 0.5 * grown)
    pen.glaze(_oval(0, pic.mouth_line - 0.11, 0.24, 0.055), tint, 0.3 + 0.5 * grown)
    roots = _beard_roots(pic, round(700 * grown), rng)
    hairs = np.stack([roots, roots + rng.normal(0, 0.012, roots.shape) + (0, 0.02 + 0.05 * grown)], axis=1)
    grey = rng.random(len(roots)) < 0.9 * pic.sign("grey", 28, 80)
    for some, colour in ((hairs[~grey], pic.person.hair * 0.7), (hairs[grey], pic.person.grey)):
        pen.lines(some, colour, 0.010 + 0.008 * grown)


def _beard_roots(pic: Picture, number: int, rng: np.random.Generator) -> np.ndarray:
    jaw = _skull(pic, rng.uniform(1.75, 2 * np.pi - 1.75, number)) * rng.uniform(0.66, 0.98, (number, 1))
    lip = np.stack([rng.uniform(-0.24, 0.24, number // 3), rng.uniform(-0.14, -0.07, number // 3)], axis=1)
    roots = np.concatenate([jaw, lip + (0, pic.mouth_line)])
    wide, high = pic.person.mouth + 0.02, 0.09 if pic.expression != "open" else 0.2
    free = ((roots - (0, pic.mouth_line + 0.04)) / (wide, high)) ** 2
    return roots[(free.sum(axis=1) > 1) & (roots[:, 1] > pic.eye_line + 0.2)]


def _hair(pen: Pen, pic: Picture, rng: np.random.Generator) -> None:
    """The cap of hair, from the crown's curve down to the hairline, with curls or locks where the style has them."""
    style = pic.person.hair_style
    if style == "bald":
        return
    crown = _skull(pic, np.linspace(-1.75, 1.75, 40), _CAP[style][0])
    front = _hairline(pic, crown)
    pen.fill(np.concatenate([crown, front[::-1]]), pic.hair)
    if style == "curly":
        _curls(pen, pic, crown, rng)
    if style in ("bob", "long"):
        _locks(pen, pic, crown, rng)
    _strands(pen, pic, crown * 0.99, front, rng)


def _hairline(pic: Picture, crown: np.ndarray) -> np.ndarray:
    """From temple to temple; the years push it back, most of all in square-jawed faces."""
    _, line, square = _CAP[pic.person.hair_style]
    u = np.linspace(-1, 1, len(crown))
    rim = line + (crown[0, 1] - line) * np.abs(u) ** square
    if pic.person.hair_style == "parted":
        rim = rim - 0.22 * np.exp(-(((u - 0.35) / 0.25) ** 2))
    back = pic.sign("hairline", 25, 85) * (1 - 0.7 * pic.person.jaw)
    rim = rim - 0.34 * back * np.exp(-(((np.abs(u) - 0.5) / 0.3) ** 2)) - 0.1 * back
    return np.stack([u * np.abs(crown[0, 0]) * 0.97, np.maximum(rim, crown[:, 1] * 0.9)], axis=1)


def _curls(pen: Pen, pic: Picture, crown: np.ndarray, rng: np.random.Generator) -> None:
    for x, y in crown[1::2] * rng.uniform(0.92, 1.04, (20, 1)):
        pen.fill(_oval(x, y, 0.15, 0.15, 12), pic.hair * rng.uniform(0.8, 1.08))
    ring = _oval(0, 0, 0.06, 0.06, 8)
    at = crown[rng.integers(0, 40, 60)] * rng.uniform(0.86, 1.1, (60, 1))
    for some, colour in ((at[::2], pic.hair * 0.65), (at[1::2], _mix(pic.hair, np.full(3, 255.0), 0.25))):
        pen.lines(some[:, None] + ring, colour, 0.014)


def _locks(pen: Pen, pic: Picture, crown: np.ndarray, rng: np.random.Generator) -> None:
    """Hair that falls beside the face and hides the ears."""
    low = 0.66 if pic.person.hair_style == "bob" else 1.35
    for side in (-1, 1):
        top = crown[-1] * (0.80, 1) - (0, 0.25)
        inner = _curve(top, (0.70 * crown[-1, 0] + 0.11, low / 2), (0.80 * crown[-1, 0], low)) * (side, 1)
        outer = _curve(crown[-1] - (0, 0.2), (1.12 * crown[-1, 0], low / 2), (1.08 * crown[-1, 0], low + 0.04))
        outer = outer * (side, 1)
        pen.fill(np.concatenate([inner, outer[::-1]]), pic.hair)
        _strands(pen, pic, np.stack([inner[0], outer[0]]), np.stack([inner[-1], outer[-1]]), rng)


def _earrings(pen: Pen, pic: Picture, rng: np.random.Generator) -> None:
    """Who wears any is mostly, not always, a woman."""
    if pic.person.earring > 0.5:
        for side in (-1, 1):
            pen.fill(_oval(side * (pic.person.width + 0.04), pic.eye_line + 0.42, 0.08, 0.08, 12), _GOLD * 0.5)
            pen.fill(_oval(side * (pic.person.width + 0.03), pic.eye_line + 0.41, 0.06, 0.06, 12), _GOLD)


def _glasses(pen: Pen, pic: Picture, rng: np.random.Generator) -> None:
    kind, gap, y = pic.person.glasses, pic.person.eye_gap, pic.eye_line + 0.01
    if kind == "none":
        return
    frame = _INK if kind == "dark" else _mix(_INK, pic.person.coat, 0.6)
    lens = _oval(gap, y, 0.235, 0.19)
    for side in (-1, 1):
        pen.glaze(lens * (side, 1), *((_INK, 0.80) if kind == "dark" else (np.full(3, 255.0), 0.10)))
    pen.lines(_both_sides([np.concatenate([lens, lens[:1]])]), frame, 0.035)
    pen.lines([_curve((-gap + 0.22, y - 0.03), (0, y - 0.07), (gap - 0.22, y - 0.03))], frame, 0.035)
    pen.lines(_both_sides([[(gap + 0.23, y - 0.04), (pic.person.width + 0.06, y - 0.02)]]), frame, 0.035)


_LAYERS = (
    _hair_behind, _body, _head, _shade, _wrinkles, _spots, _nose,
    _beard, _mouth, _eyes, _brows, _hair, _earrings, _glasses,
)  # fmt: skip


# --- one picture -----------------------------------------------------------------------------------------------------


def _pose(rng: np.random.Generator) -> np.ndarray:
    """The 2x3 matrix from face units to the crop: size, tilt (mostly below 10 degrees) and place."""
    size, tilt = rng.uniform(0.35, 0.41) * _CROP, rng.normal(0, 0.09)
    x, y = np.array((0.5, 0.5)) * _CROP + rng.uniform(-0.06, 0.06, 2) * _CROP
    cos, sin = size * np.cos(tilt), size * np.sin(tilt)
    return np.array([[cos, -sin, x], [sin, cos, y]])


def _photograph(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light from one side, a tint, on some a slight blur, the sensor's noise; at the final size."""
    image = cv2.resize(image, (_SIZE, _SIZE), interpolation=cv2.INTER_AREA)
    light = rng.uniform(0.74, 1.15) + rng.uniform(-0.2, 0.2, (2, 2, 1)) + rng.normal(0, 0.03, 3)
    light = cv2.resize(light.astype(np.float32), (_SIZE, _SIZE), interpolation=cv2.INTER_LINEAR)
    picture = image * light + np.float32(rng.uniform(0, 4)) * rng.standard_normal((_SIZE, _SIZE, 1), np.float32)
    if rng.random() < 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 0.8))
    return np.clip(picture, 0, 255).astype(np.uint8)


def draw(pic: Picture) -> np.ndarray:
    """The picture as BGR bytes of shape (128, 128, 3); always the same for the same picture."""
    rng = np.random.default_rng(pic.seed)
    turn = rng.uniform((-0.17, -0.08), (0.17, 0.08))
    pen = Pen(_background(pic.background, rng), _pose(rng), turn)
    for layer in _LAYERS:
        layer(pen, pic, rng)
    return _photograph(pen.image, rng)


# --- who is drawn ----------------------------------------------------------------------------------------------------


def _pick(rng: np.random.Generator, options: tuple[str, ...], odds: tuple[float, ...] | None = None) -> str:
    return options[rng.choice(len(options), p=odds)]


def _cue(rng: np.random.Generator, female: bool) -> float:
    """One weak sign of gender, 0 to 1: around 0.88 for women and 0.12 for men, with overlap."""
    return float(np.clip(rng.normal(0.88 if female else 0.12, 0.12), 0, 1))


def _beardedness(rng: np.random.Generator, female: bool) -> float:
    """Most men show at least a shadow; nobody else does."""
    if female:
        return 0.0
    return float(rng.choice((0.0, rng.uniform(0.35, 0.5), rng.uniform(0.6, 1.0)), p=(0.08, 0.46, 0.46)))


def _person(rng: np.random.Generator, index: int) -> Person:
    female, age = bool(rng.random() < 0.5), float(87 * rng.beta(1.25, 1.65))
    gender = "female" if female else "male"
    colour = _pick(rng, CLASSES["hair_colour"], (0.30, 0.32, 0.23, 0.15))
    tone = rng.uniform(0, len(_SKIN) - 1.001)
    return Person(
        subject=f"p{index:05d}",
        gender=gender,
        age=age,
        slip={name: rng.normal(0, 0.8 + 0.02 * age) for name in _AGEING},
        hair_style=_pick(rng, CLASSES["hair_style"], _STYLE_ODDS[gender]),
        hair_colour=colour,
        glasses=_pick(rng, CLASSES["glasses"], (0.62, 0.28, 0.10)),
        brows=_pick(rng, CLASSES["brows"]),
        skin=_mix(_SKIN[int(tone)], _SKIN[int(tone) + 1], tone % 1) * rng.uniform(0.95, 1.04),
        hair=np.array(_HAIR[colour], float) * rng.uniform(0.85, 1.15),
        grey=np.full(3, rng.uniform(90, 200)),
        iris=_IRIS[rng.integers(len(_IRIS))],
        coat=rng.uniform(30, 225, 3),
        width=rng.uniform(0.68, 0.82),
        chin=rng.uniform(0.96, 1.10),
        eye_gap=rng.uniform(0.29, 0.36),
        eye_size=rng.uniform(0.15, 0.185),
        nose=rng.uniform(0.10, 0.17),
        mouth=rng.uniform(0.22, 0.32),
        shadow=_SHADOW[rng.integers(len(_SHADOW))],
        earring=rng.normal(0.75 if female else 0.2, 0.25),
        lash=_cue(rng, female),
        lip=_cue(rng, female),
        brow=_cue(rng, female),
        jaw=_cue(rng, female),
        beard=_beardedness(rng, female),
    )


def pictures(seed: int) -> Iterator[Picture]:
    """Pictures without end: 1 to 4 of each person, taken over a few years, some with the wrong gender noted."""
    for index in count_from():
        rng = np.random.default_rng((seed, index))
        person = _person(rng, index)
        for number in range(1, rng.choice((1, 2, 3, 4), p=(0.5, 0.27, 0.14, 0.09)) + 1):
            age = person.age + rng.uniform(0, 3)
            wrong = rng.random() < _WRONG_GENDER
            yield Picture(
                person=person,
                number=number,
                seed=(seed, index, number),
                age=age,
                label_age=round(float(np.clip(age + rng.normal(0, _AGE_NOISE), 0, 90)), 1),
                label_gender={"female": "male", "male": "female"}[person.gender] if wrong else person.gender,
                expression=_pick(rng, CLASSES["expression"]),
                background=_pick(rng, CLASSES["background"]),
            )


def jpeg(picture: Picture) -> bytes:
    """The picture as an encoded JPEG of 128×128, at a quality from 70 to 95."""
    quality = int(np.random.default_rng((*picture.seed, 1)).integers(70, 96))
    return cv2.imencode(".jpg", draw(picture), [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
