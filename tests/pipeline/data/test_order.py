"""Classes are in the order that their numbers tell, and an order is claimed only where they tell it."""

from __future__ import annotations

import random

import pytest

from pipeline.data import order


@pytest.mark.parametrize(
    "classes",
    [
        ("0-6 months", "6-12 months", "1-2 years", "3-5 years"),
        ("0-2", "3-9", "10-19", "20-29", "more than 70"),
        ("under 5", "5–9", "10–64", "65+"),
        ("younger than 18", "18 to 60", "61 or older"),
        ("<18", "18-30", "31-64", "≥65"),
        ("5 and under", "6-9", "10 and over"),
        ("2 weeks", "1 month", "18 months", "2 yrs"),
        ("6 months - 1 year", "1-2 years", "3+ years"),
        ("9 years old", "10 years old"),
        ("(-0.001, 5.0]", "(5.0, 10.0]", "(10.0, 20.0]"),
        ("0", "2", "11"),
        ("60-70", "60+"),
    ],
    ids=str,
)
def test_one_form_tells_the_order(classes: tuple[str, ...]) -> None:
    shuffled = random.Random(0).sample(classes, len(classes))
    assert tuple(sorted(shuffled, key=order.natural)) == classes
    assert order.tells_order(shuffled)


@pytest.mark.parametrize(
    "classes",
    [
        ("-5", "5", "10"),
        ("grade 3", "grade 4"),
        ("v2 x", "v3 y"),
        ("0-6 months", "1-2"),
        ("0-9", "adult"),
        ("10-19", "10-29", "30-39"),
        ("0-17", "<18"),
        ("60+", "70-80"),
        ("9-3", "10-12"),
        ("under 5", "under 10", "10+"),
        ("adult", "child"),
    ],
    ids=str,
)
def test_other_forms_tell_none(classes: tuple[str, ...]) -> None:
    assert not order.tells_order(classes)


def test_signs_and_first_numbers_sort_what_has_no_order() -> None:
    assert sorted(["1", "0", "x", "-1", "v10", "v9"], key=order.natural) == ["-1", "0", "1", "v9", "v10", "x"]
