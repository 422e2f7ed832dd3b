"""Every customer of the lake scored as of one instant, some at a time: the endpoint's judgement and figures."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

from facts.errors import DamagedFile, RegularsError
from facts.lake import PARTS_ADVICE, Lake
from features.at_instant import InputsAt
from features.catalog import feature_hash
from features.inputs import Inputs
from features.snapshots import VECTOR, VECTORS, last_cutoff, part_key, snapshot_names
from features.vectors import unpack_all
from scoring.answers import FeatureRows, answer
from scoring.model import TaskModel

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

CHUNK = 50_000  # customers that are in memory at once
ENDINGS = (".parquet", ".csv")


class UnwritableOutput(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """A place that scores cannot be written to."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom to score: the customers of the last snapshot at or before an instant.

    Parameters
    ----------
    cutoff
        Of that snapshot.
    file
        Its vectors, one row per customer, ordered by customer_id.
    """

    lake: Lake
    as_of: datetime
    cutoff: datetime
    file: Path

    @classmethod
    def of(cls, lake: Lake, *, as_of: datetime) -> Asked:
        """Find the snapshot.

        Raises
        ------
        NotYet
            No snapshot is that old.
        DamagedFile
            It is not as it was written.
        """
        cutoff = last_cutoff(lake, as_of=as_of)
        part = lake.checked(lake.parts(VECTORS)[part_key(cutoff)], advice=PARTS_ADVICE)
        return cls(lake, as_of, cutoff, lake.folder / part.file)

    def rows(self, chunks: Iterable[pa.RecordBatch]) -> Iterator[FeatureRows]:
        """Yield what was known at the instant of the customers of some chunks of the file.

        Raises
        ------
        DamagedFile
            The vectors are not those of the snapshots' features.
        """
        lake, shop = self.lake, self.lake.shop()
        inputs = Inputs.of(snapshot_names(lake), shop.has)
        with lake.connect() as connection:
            events = lake.table(connection, "events")
            made = InputsAt(inputs, lake, events, cutoff=self.cutoff, at=self.as_of, zone=ZoneInfo(shop.timezone))
            for chunk in chunks:
                customer_ids = chunk.column("customer_id").to_pylist()
                yield FeatureRows(
                    customer_ids=customer_ids,
                    features=inputs.names,
                    matrix=made.matrix(customer_ids, self._unpacked(chunk, inputs.snapshot)),
                    features_as_of=[self.cutoff] * len(customer_ids),
                )

    def _unpacked(self, chunk: pa.RecordBatch, names: Sequence[str]) -> NDArray[np.float32]:
        try:
            known, matrix = unpack_all(chunk.column(VECTOR))
        except ValueError as error:
            raise DamagedFile(self.file, str(error), advice=PARTS_ADVICE) from error
        if known != feature_hash(tuple(names)):
            raise DamagedFile(self.file, "its vectors are of other features", advice=PARTS_ADVICE)
        return matrix

    def chunks(self, *, rows: int = CHUNK) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the file, some at a time."""
        import pyarrow.parquet as pq

        with pq.ParquetFile(self.file, pre_buffer=False) as file:
            yield from file.iter_batches(rows, columns=["customer_id", VECTOR])


def known_rows(lake: Lake, *, as_of: datetime) -> FeatureRows:
    """Return what was known of every customer at an instant: the last snapshot at or before it, and the events since.

    Raises
    ------
    NotYet
        No snapshot is that old.
    """
    asked = Asked.of(lake, as_of=as_of)
    parts = list(asked.rows(asked.chunks()))
    return FeatureRows(
        customer_ids=[customer for part in parts for customer in part.customer_ids],
        features=parts[0].features,
        matrix=np.concatenate([part.matrix for part in parts]),
        features_as_of=[as_of for part in parts for as_of in part.features_as_of],
    )


def score_table(rows: FeatureRows, models: Mapping[str, TaskModel], *, as_of: datetime, ttl: timedelta) -> pa.Table:
    """Build one row per customer: customer_id, status, detail, features_as_of, as_of, and of every task its figures.

    The score's column is `<task>_probability`, `<task>_amount` or `<task>_days`, missing where the status is not ok; of
    the latter two `<task>_p10`, `<task>_p50` and `<task>_p90` follow, and of an amount `<task>_mean`, which can be
    summed. Days at the horizon mean: not within it, if ever. `<task>_potential` says who spent little so far and is
    expected to spend far more than others who did.
    `<task>_model` names the version.
    """
    import pyarrow as pa

    answers, count = answer(rows, models, at=as_of, ttl=ttl), len(rows.customer_ids)
    instant = pa.timestamp("us", tz="UTC")
    columns: dict[str, pa.Array] = {
        "customer_id": pa.array(rows.customer_ids, pa.string()),
        "status": pa.array(answers.statuses, pa.string()),
        "detail": pa.array(answers.details, pa.string()),
        "features_as_of": pa.array(rows.features_as_of, instant),
        "as_of": pa.repeat(pa.scalar(as_of, instant), count),
    }
    for task, model in models.items():
        for name, said in answers.figures[task].named(model.kind).items():
            columns[f"{task}_{name}"] = pa.array(said, from_pandas=True)  # NaN is missing
        if model.potential is not None:
            columns[f"{task}_potential"] = pa.array(answers.flagged[task])
        columns[f"{task}_horizon_days"] = pa.repeat(pa.scalar(model.horizon_days, pa.int64()), count)
        columns[f"{task}_model"] = pa.repeat(pa.scalar(model.label, pa.string()), count)
    return pa.table(columns)


def score_lake(
    lake: Lake,
    models: Mapping[str, TaskModel],
    output: Path,
    *,
    as_of: datetime,
    ttl: timedelta,
    chunk_rows: int = CHUNK,
    on_chunk: Callable[[int], None] = lambda _scored: None,
) -> Counter[str]:
    """Score every customer known at an instant into a file; return how many have each status.

    Memory does not grow with the shop: customers are read, scored and written some at a time, and while some are scored
    the next are read.
    """
    asked = Asked.of(lake, as_of=as_of)
    with closing(_one_ahead(asked.rows(asked.chunks(rows=chunk_rows)))) as known:
        tables = (score_table(rows, models, as_of=as_of, ttl=ttl) for rows in known)
        return write_scores(tables, output, on_chunk=on_chunk)


def _one_ahead(known: Iterator[FeatureRows]) -> Generator[FeatureRows]:
    """Yield what an iterator yields, the next of it on its way in another thread."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        coming = thread.submit(next, known, None)
        while (rows := coming.result()) is not None:
            coming = thread.submit(next, known, None)
            yield rows


def write_scores(
    tables: Iterable[pa.Table], output: Path, *, on_chunk: Callable[[int], None] = lambda _scored: None
) -> Counter[str]:
    """Write tables of scores one after the other into a file; return how many customers have each status."""
    statuses: Counter[str] = Counter()

    def counted() -> Iterator[pa.Table]:
        for table in tables:
            for pair in table["status"].value_counts().to_pylist():
                statuses[pair["values"]] += pair["counts"]
            yield table
            on_chunk(statuses.total())

    write_tables(counted(), output)
    return statuses


def require_output(path: Path, *, endings: Sequence[str] = ENDINGS) -> None:
    """Raise UnwritableOutput where a table cannot be written to a path."""
    if path.suffix not in endings:
        raise UnwritableOutput(f"cannot write {path}: its name ends in {path.suffix!r}; known: {', '.join(endings)}")
    if not path.parent.is_dir():
        raise UnwritableOutput(f"cannot write {path}: there is no folder {path.parent}")


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table in one step: the file is whole, or it is not there."""
    import pyarrow as pa

    write_tables([pa.Table.from_pandas(frame, preserve_index=False)], path)


def write_tables(tables: Iterable[pa.Table], path: Path) -> None:
    """Write tables of the same columns one after the other, in one step: the file is whole, or it is not there.

    Of no tables nothing is written.
    """
    require_output(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        (_write_csv if path.suffix == ".csv" else _write_parquet)(tables, partial)
        if partial.exists():
            partial.replace(path)
    except OSError as error:
        raise UnwritableOutput(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _write_parquet(tables: Iterable[pa.Table], path: Path) -> None:
    import pyarrow.parquet as pq

    writer = None
    try:
        for table in tables:
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _write_csv(tables: Iterable[pa.Table], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        for place, table in enumerate(tables):
            table.to_pandas().to_csv(file, index=False, header=place == 0)
