"""What stands between a search and its database is one sentence, without the password."""

from __future__ import annotations

import subprocess
import sys

import psycopg
import pytest

from facts.home import PROJECT
from tests.postgres_server import postgres
from training.postgres import PostgresStudies, StudyUnreachable

SECRET = "hunter2"  # noqa: S105 - of no server


def test_a_missing_driver_is_told() -> None:
    program = "import sys; sys.modules['psycopg'] = None\n"
    program += "from training.postgres import PostgresStudies; PostgresStudies('postgresql://h/d').require()"
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert "StudyUnreachable: the driver of PostgreSQL is missing; install the extra" in ran.stderr


def test_only_the_right_password_opens_and_none_is_shown(tmp_path):
    data = tmp_path / "data"
    with postgres(data) as owner:
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute("CREATE ROLE searcher LOGIN PASSWORD 'right@word'")
            connection.execute("GRANT CREATE ON SCHEMA public TO searcher")
            (data / "pg_hba.conf").write_text("local all searcher scram-sha-256\nlocal all all trust\n")
            connection.execute("SELECT pg_reload_conf()")
        address = f"postgresql://searcher:{{}}@/postgres?host={data}"
        with pytest.raises(StudyUnreachable, match="password authentication failed") as refused:
            PostgresStudies(address.format(SECRET)).require()
        assert SECRET not in str(refused.value)
        with PostgresStudies(address.format("right%40word")).study("s", direction="minimize") as study:
            assert study.ask().number == 0


def test_a_role_that_may_make_no_tables_is_told(tmp_path):
    data = tmp_path / "data"
    with postgres(data) as owner:
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute("CREATE ROLE reader LOGIN")
        studies = PostgresStudies(f"postgresql://reader@/postgres?host={data}")
        with (
            pytest.raises(StudyUnreachable, match="permission denied for schema public"),
            studies.study("s", direction="minimize"),
        ):
            pass


def test_tables_are_made_once_by_whoever_comes_first(tmp_path):
    program = "import sys; from training.postgres import PostgresStudies\n"
    program += "with PostgresStudies(sys.argv[1]).study('s', direction='minimize') as study: study.ask()"
    with postgres(tmp_path / "data") as url:
        command = [sys.executable, "-W", "ignore", "-c", program, url]
        running = [subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.PIPE, text=True) for _ in range(3)]
        assert [(process.communicate()[1], process.returncode) for process in running] == [("", 0)] * 3
        with PostgresStudies(url).study("s", direction="minimize") as study:
            assert [trial.number for trial in study.trials] == [0, 1, 2]
