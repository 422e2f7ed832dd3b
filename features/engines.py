"""What runs the one expression: DuckDB on one machine, Spark on a cluster; both read the lake and give Arrow."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import ibis

from facts.errors import RegularsError, UnknownName
from facts.lake import Lake
from features.snapshot import NEEDED_FACTS

if TYPE_CHECKING:
    import pyarrow as pa
    from ibis.expr.types import Table

MASTER, SETTINGS = "REGULARS_SPARK_MASTER", "REGULARS_SPARK_SETTINGS"
DEFAULT_MASTER = "local[*]"
# Times are UTC in the lake whatever the cluster's clock says; the progress bar would stand between tables.
_ALWAYS = {"spark.sql.session.timeZone": "UTC", "spark.ui.showConsoleProgress": "false"}
_ON_ONE_MACHINE = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "8",
}

# The snapshot is written in the order in which it is best joined, which DuckDB, guessing how many rows a join over
# ranges of time gives, would change: a quarter of the time.
_AS_WRITTEN = "SET disabled_optimizers = 'join_order'"


class CannotStartEngine(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """An engine that is not there."""

    def __init__(self, engine: str, reason: str, *, advice: str) -> None:
        super().__init__(f"cannot start {engine}: {reason}; {advice}")


class Engine(Protocol):
    """An engine over one lake."""

    facts: Mapping[str, Table]

    def compute(self, expression: Table) -> pa.Table:
        """Run an expression over the facts."""


class _Opened:
    def __init__(self, backend: ibis.BaseBackend, facts: Mapping[str, Table]) -> None:
        self._backend, self.facts = backend, facts

    def compute(self, expression: Table) -> pa.Table:
        return self._backend.to_pyarrow(expression)


@contextmanager
def open_duckdb(lake: Lake) -> Iterator[Engine]:
    """Open DuckDB in this process; it spills beside the lake what does not fit."""
    with lake.connect() as connection:
        connection.raw_sql(_AS_WRITTEN)
        yield _Opened(connection, {name: lake.table(connection, name) for name in NEEDED_FACTS})


@contextmanager
def open_spark(lake: Lake) -> Iterator[Engine]:
    """Open Spark over the lake (`spark_session`)."""
    with spark_session() as session:
        backend = ibis.pyspark.connect(session)
        paths = {name: (lake.folder / lake.stored(name).file).as_uri() for name in NEEDED_FACTS}
        yield _Opened(backend, {name: backend.read_parquet(path) for name, path in paths.items()})


@contextmanager
def spark_session() -> Iterator[Any]:
    """Open a Spark session and end it afterwards.

    `REGULARS_SPARK_MASTER` names the master (by default this machine, all cores), `REGULARS_SPARK_SETTINGS` a file of
    settings in the format of `spark-defaults.conf`. The lake's folder must be under the same path on every worker.

    Raises
    ------
    CannotStartEngine
        The extra `spark` or Java 17 is missing, or the settings cannot be read.
    """
    session = _start_session()
    try:
        yield session
    finally:
        session.stop()


ENGINES: Mapping[str, Callable[[Lake], AbstractContextManager[Engine]]] = {"duckdb": open_duckdb, "spark": open_spark}


def require_engine(name: str) -> None:
    """Raise UnknownName where no engine has a name."""
    if name not in ENGINES:
        raise UnknownName("engine", name, known=list(ENGINES))


def open_engine(name: str, lake: Lake) -> AbstractContextManager[Engine]:
    """Open an engine by its name; raise UnknownName where there is none."""
    require_engine(name)
    return ENGINES[name](lake)


def _start_session() -> Any:  # noqa: ANN401 - pyspark is an extra
    try:
        from pyspark.errors.exceptions.base import PySparkRuntimeError
        from pyspark.sql import SparkSession
    except ImportError:
        raise CannotStartEngine("Spark", "pyspark is not installed", advice="install regulars[spark]") from None
    master = os.environ.get(MASTER) or DEFAULT_MASTER
    if master.startswith("local"):  # or it takes the python3 of the path, which need not have this project
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    settings = (_ON_ONE_MACHINE if master.startswith("local") else {}) | _read_settings() | _ALWAYS
    builder = SparkSession.builder.master(master).appName("regulars")
    for name, value in settings.items():
        builder = builder.config(name, value)
    try:
        session = builder.getOrCreate()
    except PySparkRuntimeError as error:
        reason = str(error).splitlines()[0]
        raise CannotStartEngine("Spark", reason, advice="Spark needs Java 17; see JAVA_HOME") from error
    session.sparkContext.setLogLevel("ERROR")
    return session


def _read_settings() -> dict[str, str]:
    path = os.environ.get(SETTINGS)
    if not path:
        return {}
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            lines = [line.split("#")[0].strip() for line in file]
    except OSError as error:
        advice = f"mend {SETTINGS}"
        raise CannotStartEngine("Spark", f"cannot read {path}: {error.strerror}", advice=advice) from error
    pairs = [line.replace("=", " ", 1).split(None, 1) for line in lines if line]
    return {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}  # noqa: PLR2004
