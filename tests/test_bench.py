"""The bench: that it takes turns and reckons rightly, and that a row of it runs. How fast things are is no test."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.bench.measuring import Contenders, Row, Setting, compare, pace, table


def contenders(taken: list[str], **figures: list[float]) -> Contenders:
    """Contenders that answer these figures one after the other, and note whose turn it was."""

    def measure(name: str, left: Iterator[float]) -> float:
        taken.append(name)
        return next(left)

    return {name: partial(measure, name, iter(values)) for name, values in figures.items()}


def test_ours_and_theirs_take_turns_and_the_ratio_is_the_median_of_the_rounds() -> None:
    taken: list[str] = []
    row = Row("speed", lambda: contenders(taken, ours=[10.0, 30.0, 20.0], theirs=[5.0, 10.0, 20.0]))
    (found,) = compare(row, rounds=3)
    assert taken == ["ours", "theirs"] * 3
    assert (found["our figure"], found["their figure"], found["ratio"]) == (20.0, 10.0, 2.0)
    assert "difference" not in found


def test_of_seconds_fewer_are_better() -> None:
    row = Row("start", lambda: contenders([], ours=[1.0, 2.0, 4.0], theirs=[2.0, 3.0, 8.0]), "s")
    (found,) = compare(row, rounds=3)
    assert (found["ratio"], found["difference"]) == (2.0, -1.0)


def test_every_other_contender_has_a_line_and_a_row_may_have_fewer_rounds() -> None:
    row = Row("three", lambda: contenders([], ours=[6.0], second=[3.0], third=[2.0]), rounds=1)
    assert [(found["theirs"], found["ratio"]) for found in compare(row, rounds=5)] == [("second", 2.0), ("third", 3.0)]


def test_without_a_counterpart_ratio_and_theirs_stay_empty() -> None:
    found = [
        *compare(Row("alone", lambda: contenders([], ours=[1234.5])), rounds=1),
        *compare(Row("beside", lambda: contenders([], ours=[1.0], theirs=[4.0])), rounds=1),
    ]
    assert table(found).splitlines()[2:] == [
        "| alone | images/s | ours | 1,234 |  |  |  |",
        "| beside | images/s | ours | 1.00 | theirs | 4.00 | 0.25 |",
    ]


def test_a_step_that_takes_long_is_taken_once() -> None:
    taken: list[int] = []
    assert pace(lambda: taken.append(1), batch_size=8, least=0.0) > 0
    assert taken == [1]


def test_names_of_rows_differ(tmp_path: Path) -> None:
    from tests.bench.__main__ import all_rows

    for quick in (False, True):
        names = [row.name for row in all_rows(Setting(tmp_path, quick))]
        assert len(set(names)) == len(names)


@pytest.mark.slow
def test_one_row_runs_from_the_command_line(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    printed = bench("--quick", "--only", "list", "models", "--out", str(out))
    (found,) = json.loads(out.read_text())
    assert found["row"] == "start-up, list models"
    assert found["our figure"] > found["their figure"] > 0
    assert "| start-up, list models | s |" in printed


def test_words_that_no_row_has_are_answered_with_the_rows_that_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    from tests.bench.__main__ import main

    monkeypatch.setattr(sys, "argv", ["bench", "--only", "nonsense"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "warm loading" in capsys.readouterr().err


@pytest.mark.slow
def test_all_of_quick_runs(tmp_path: Path) -> None:
    bench("--quick", "--out", str(tmp_path / "bench.json"))


def bench(*arguments: str) -> str:
    """What `python -m tests.bench` prints."""
    return subprocess.run(
        [sys.executable, "-m", "tests.bench", *arguments], text=True, check=True, stdout=subprocess.PIPE
    ).stdout
