"""The customers of the lake scored on Spark, a partition each, by the code and with the figures of one machine.

Every executor reads the models from their files and, of its own customers, the events from the lake. It writes a part
of the file; the driver puts them together, in the order of the customers, without holding more than one.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from facts.errors import RegularsError
from facts.lake import Lake
from features.engines import spark_session
from features.snapshots import VECTOR
from scoring.batch import CHUNK, Asked, UnwritableOutput, require_output, score_table, write_scores, write_tables
from scoring.model import TaskModel
from scoring.model_files import read_model
from scoring.registry import version_folder

if TYPE_CHECKING:
    import pyarrow as pa

    from facts.home import Home

_TOLD = "part string"


class SparkFailed(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """Scoring that ended in an executor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """Where the files of a registered version lie, on the driver and on every executor."""

    folder: Path
    version: str

    def read(self) -> TaskModel:
        """Read the model."""
        return read_model(self.folder, version=self.version)


def champion_files(home: Home, champions: Mapping[str, TaskModel]) -> Mapping[str, ModelFiles]:
    """Return where the files of champions lie."""
    return {
        task: ModelFiles(folder=version_folder(home, task, model.version), version=model.version)
        for task, model in champions.items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Partition:
    """What an executor does with one partition: it scores the rows into a part, and tells the part's name."""

    asked: Asked
    models: Mapping[str, ModelFiles]
    ttl: timedelta
    parts: Path

    def __call__(self, chunks: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        from pyspark import TaskContext

        models = {task: files.read() for task, files in self.models.items()}
        known = self.asked.rows(chunk for chunk in chunks if len(chunk))
        tables = (score_table(rows, models, as_of=self.asked.as_of, ttl=self.ttl) for rows in known)
        context = TaskContext.get()
        part = self.parts / f"{context.partitionId():08d}.parquet"
        write_tables(tables, part)
        if part.exists():
            yield pa.RecordBatch.from_pydict({"part": [part.name]})


def score_on_spark(
    lake: Lake, models: Mapping[str, ModelFiles], output: Path, *, as_of: datetime, ttl: timedelta
) -> Counter[str]:
    """Score every customer known at an instant into a file, as `scoring.batch.score_lake` does.

    The lake, the models' files and the folder of the output must be under the same path on every executor.

    Raises
    ------
    CannotStartEngine
        The extra `spark` or Java 17 is missing, or the settings cannot be read.
    SparkFailed
        An executor failed; the message has its last line.
    """
    import pyarrow.parquet as pq

    require_output(output)
    asked = Asked.of(lake, as_of=as_of)
    parts = output.absolute().with_name(f".{output.name}.{os.getpid()}.parts")
    try:
        parts.mkdir()
        names = _score_partitions(_Partition(asked=asked, models=models, ttl=ttl, parts=parts))
        return write_scores((pq.read_table(parts / name) for name in sorted(names)), output)
    except OSError as error:
        raise UnwritableOutput(f"cannot write {output}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(parts, ignore_errors=True)


def _score_partitions(work: _Partition) -> list[str]:
    """Score the customers, about CHUNK in a partition and in the order of their ids; return the names of the parts."""
    import pyarrow.parquet as pq

    rows = pq.read_metadata(work.asked.file).num_rows
    with spark_session() as session:
        from pyspark.errors import PySparkException

        session.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(CHUNK))
        vectors = session.read.parquet(work.asked.file.absolute().as_uri()).select("customer_id", VECTOR)
        count = max(session.sparkContext.defaultParallelism, -(-rows // CHUNK))
        ordered = vectors.repartitionByRange(count, "customer_id").sortWithinPartitions("customer_id")
        try:
            told = ordered.mapInArrow(work, _TOLD).collect()
        except PySparkException as error:
            raise SparkFailed(f"scoring on Spark failed: {_last_line(str(error))}") from error
    return [row.part for row in told]


def _last_line(text: str) -> str:
    """Return the last line of a Python traceback that Spark carries along, without Java's own."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("at ")]
    said = [line for line in lines if "Error: " in line or line.startswith(("facts.", "scoring.", "features."))]
    return (said or lines or ["no reason was given"])[-1]
