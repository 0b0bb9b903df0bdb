"""The order of class names: by the numbers that they begin with, and whether these numbers tell it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

_YEARS = {"d": 1 / 365.25, "w": 7 / 365.25, "m": 1 / 12, "y": 1.0}  # by a unit's first letter
_UNIT = r"days?|d|weeks?|wks?|w|months?|mos?|m|years?|yrs?|y"
_N = r"\d+(?:\.\d+)?"
_RANGE = re.compile(rf"(?P<low>{_N})\s*(?P<unit_low>{_UNIT})?\s*(?:-|–|—|\bto\b)\s*(?P<high>{_N})\s*(?P<unit>{_UNIT})?")
_INTERVAL = re.compile(rf"[(\[]\s*(?P<low>-?{_N})\s*,\s*(?P<high>-?{_N})\s*[)\]]")  # as pandas writes it
_SINGLE = re.compile(rf"(?P<low>{_N})\s*(?P<unit>{_UNIT})?")
_BELOW = re.compile(
    rf"(?:(?:<=?|≤|\b(?:under|below|less than|up to|younger than)\b)\s*(?P<high>{_N})\s*(?P<unit>{_UNIT})?"
    rf"|(?P<high_too>{_N})\s*(?P<unit_too>{_UNIT})?\s*(?:and|or)\s+(?:younger|under|below|less))"
)
_ABOVE = re.compile(
    rf"(?:(?:>=?|≥|\b(?:over|above|more than|older than|at least|from)\b)\s*(?P<low>{_N})\s*(?P<unit>{_UNIT})?"
    rf"|(?P<low_too>{_N})\s*(?P<unit_too>{_UNIT})?\s*(?:\+|(?:and|or)\s+(?:older|over|above|more|up)\b)"
    rf"\s*(?P<unit_after>{_UNIT})?)"
)
_OLD = re.compile(r"\s+(?:old|of age)$")
_FIRST_NUMBER = re.compile(_N)
_SIGNED = re.compile(rf"[-−]\s*({_N})")
_JUST = 1e-6  # years: what puts "<18" before "18-30", and "60-70" before "60+"


class _Span(NamedTuple):
    """What a class name says: from where to where, in years where it has a unit. An open end is infinite."""

    start: float
    end: float
    has_unit: bool


def natural(name: str) -> tuple[float, str]:
    """A key to sort class names by: by where each begins ("3-9" before "10-19", "6-12 months" before "1-2 years",
    "<18" before "18-30", "60-70" before "60+"), then by letters. A name of another form goes by its first number; what
    has none comes last, at infinity."""
    if span := _span(name):
        return (span.end - _JUST if math.isinf(span.start) else span.start + _JUST * math.isinf(span.end)), name
    if signed := _SIGNED.fullmatch(name.strip()):
        return -float(signed[1]), name
    number = _FIRST_NUMBER.search(name)
    return (float(number[0]) if number else math.inf), name


def tells_order(names: Iterable[str]) -> bool:
    """Whether numbers of one form tell the order of all the names: single numbers, ranges ("3-9", "3 to 9", "(3, 9]")
    and open ends ("under 5", "<5", "65+", "over 65", "65 or older"), all without a unit or all of days, weeks, months
    and years. Each must begin and end above the one before it; "-5", "grade 3" or "v2" tell no order."""
    names = sorted(names, key=natural)
    spans = [span for span in map(_span, names) if span]
    if len(spans) < len(names) or len({span.has_unit for span in spans}) > 1:
        return False
    places = [(natural(name)[0], span) for name, span in zip(names, spans, strict=True)]
    rising = all(a < b and one.end < other.end for (a, one), (b, other) in pairwise(places))
    return rising and all(math.isfinite(span.start) for span in spans[1:])


def _span(name: str) -> _Span | None:
    """What a name of one of the forms says; None for any other."""
    text = _OLD.sub("", " ".join(name.lower().split()))
    if match := _INTERVAL.fullmatch(text):
        low, high, units = float(match["low"]), float(match["high"]), [None]
    elif match := _RANGE.fullmatch(text):
        units = [match["unit"], *([match["unit_low"]] if match["unit_low"] else [])]
        low = float(match["low"]) * _scale(match["unit_low"] or match["unit"])
        high = float(match["high"]) * _scale(match["unit"])
    elif match := _SINGLE.fullmatch(text):
        units = [match["unit"]]
        low = high = float(match["low"]) * _scale(match["unit"])
    elif match := _BELOW.fullmatch(text):
        units = [match["unit"] or match["unit_too"]]
        low, high = -math.inf, float(match["high"] or match["high_too"]) * _scale(units[0])
    elif match := _ABOVE.fullmatch(text):
        units = [match["unit"] or match["unit_too"] or match["unit_after"]]
        low, high = float(match["low"] or match["low_too"]) * _scale(units[0]), math.inf
    else:
        return None
    if low > high or (None in units and len(units) > 1):
        return None
    return _Span(low, high, units[0] is not None)


def _scale(unit: str | None) -> float:
    return _YEARS[unit[0]] if unit else 1.0
