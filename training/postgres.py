"""Studies in PostgreSQL, so that several machines search together.

The address may hold a password, so it is never shown.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from facts.errors import RegularsError

if TYPE_CHECKING:
    import optuna
    import psycopg

SCHEMES = ("postgresql://", "postgres://")
CONNECT_SECONDS = 10


class StudyUnreachable(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """The database of the studies cannot be used."""


class PostgresStudies:
    """The studies of one database.

    Parameters
    ----------
    url
        `postgresql://user@host:port/database` as libpq reads it: the password may also stand in PGPASSWORD or in
        ~/.pgpass.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def require(self) -> None:
        """Raise StudyUnreachable where the database cannot be used."""
        with self._told(), self._connect() as connection:
            connection.execute("SELECT 1")

    @contextmanager
    def study(self, name: str, *, direction: str) -> Iterator[optuna.Study]:
        """Open a study, made at first use."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        logging.getLogger("psycopg").setLevel(logging.ERROR)  # what is warned of is said in our own sentence
        with self._told():
            with self.claim("regulars"):  # two machines that make Optuna's tables at once would stumble
                backend = self._backend()
                study = optuna.create_study(study_name=name, storage=backend, direction=direction, load_if_exists=True)
            try:
                yield study
            finally:
                backend.engine.dispose()

    @contextmanager
    def claim(self, name: str) -> Iterator[None]:
        """Hold a lock that one process of all machines has at a time; it ends with its connection."""
        with self._connect() as connection, connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '60s'")
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
            yield

    @contextmanager
    def turn(self, name: str, *, who: Literal["one alone", "several"]) -> Iterator[None]:  # noqa: ARG002 - any may
        """Let any number search at once: none of them does so alone."""
        yield

    def _backend(self) -> optuna.storages.RDBStorage:
        import optuna

        settings = {"creator": self._connect, "pool_pre_ping": True}
        try:
            # With a creator of connections, neither Optuna nor SQLAlchemy gets to see the address.
            return optuna.storages.RDBStorage("postgresql+psycopg://", engine_kwargs=settings)
        except RuntimeError as error:
            raise StudyUnreachable(f"its tables were made by another version of Optuna: {error}") from error

    def _connect(self) -> psycopg.Connection[Any]:
        import psycopg

        return psycopg.connect(self._url, connect_timeout=CONNECT_SECONDS)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say in one sentence, without the password, what the database or its driver has to say."""
        if not self._url.startswith(SCHEMES):
            raise StudyUnreachable(f"--storage takes {SCHEMES[0]}user@host:port/database; it begins otherwise")
        try:
            import psycopg.conninfo
        except ImportError as error:
            raise StudyUnreachable(
                "the driver of PostgreSQL is missing; install the extra: pip install 'regulars[postgres]'"
            ) from error
        import optuna
        import sqlalchemy

        try:
            parts = psycopg.conninfo.conninfo_to_dict(self._url)
        except psycopg.Error:  # its message repeats the address
            raise StudyUnreachable(f"--storage takes {SCHEMES[0]}user@host:port/database; it cannot be read") from None
        try:
            yield
        except (psycopg.Error, sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            raise StudyUnreachable(
                f"the study in {_place(parts)} cannot be used: {_reason(error, parts)}; "
                "once it can be, the same command goes on"
            ) from None


def _place(parts: Any) -> str:  # noqa: ANN401
    port = f":{parts['port']}" if "port" in parts else ""
    return f"PostgreSQL at {parts.get('host', 'its default host')}{port}/{parts.get('dbname', '')}".rstrip("/")


def _reason(error: BaseException, parts: Any) -> str:  # noqa: ANN401
    """Return the first line of what the database said, or else the error; a password that it repeats is blotted out."""
    import psycopg

    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(cause)
    told = next((cause for cause in causes if isinstance(cause, psycopg.Error)), error)
    line = (str(told).strip().splitlines() or [type(told).__name__])[0]
    password = parts.get("password")
    return line.replace(str(password), "***") if password else line
