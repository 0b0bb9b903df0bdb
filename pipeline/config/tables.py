"""A report's tables as plain data: what `reproduce` runs, and where in a run each figure stands.

Standard library only, as `config`: the tables of a report lie beside its experiments, in `_tables.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.config import Data


@dataclass(frozen=True)
class Column:
    """A figure of every row, and where it stands in a run.

    source: `test:gender.accuracy` (of results.json; also `test:loss`, `test:seconds`, `test:mean.accuracy`),
    `val:` or `train:` and a column of history.csv without its `val_`, in the kept epoch of the last stage,
    `other:gender.accuracy` (judged on the table's `other` data), `epochs` (trained in the last stage), `seconds` (of
    training, all stages; `seconds:last` of the last one), `set:` and a field of the experiment, such as
    `set:model.image_size`, or nothing for what is only reported. honest: where it stands in the honest twin.
    """

    heading: str
    source: str = ""
    honest: str | None = None


@dataclass(frozen=True)
class Row:
    """An experiment by its name, and what was reported of it, as the report writes it, by heading. sources: of the
    headings under which its figures stand elsewhere than the column's."""

    label: str
    experiment: str
    reported: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)

    def source(self, column: Column, honest: bool = False) -> str:
        """Where a figure of this row stands."""
        if column.heading in self.sources:
            return self.sources[column.heading]
        return column.honest if honest and column.honest is not None else column.source


@dataclass(frozen=True)
class Table:
    """One table of a report. other: further data that its runs are judged on. note: what a reader must know."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    other: Data | None = None
    note: str = ""
