"""What is kept of the answers: all of it, once a customer and day, until it is old."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facts.errors import DamagedFile
from facts.home import Home
from scoring.decision_log import (
    DECISION_LOG,
    DECISION_LOG_DAYS,
    KEPT_DAYS,
    BadSetting,
    Decision,
    is_decision_log_on,
    kept_days_from_environment,
    open_decision_log,
)

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
DECISION = Decision(
    customer_id="ann",
    task="churn",
    score=0.25,
    horizon_days=30,
    model="regulars-churn/1",
    answered_at=NOON,
    features_as_of=NOON - timedelta(hours=12),
    request_id="r1",
)
DECISIONS = st.lists(
    st.builds(
        replace,
        st.just(DECISION),
        customer_id=st.sampled_from(["ann", "bob", "zoë"]),
        task=st.sampled_from(["churn", "clv"]),
        score=st.floats(0, 1),
        horizon_days=st.sampled_from([7, 30]),
        model=st.sampled_from(["m/1", "m/2"]),
        answered_at=st.datetimes(datetime(2024, 1, 1), datetime(2024, 1, 5), timezones=st.just(UTC)),  # noqa: DTZ001
        request_id=st.text(max_size=5),
        interval=st.none() | st.tuples(*[st.floats(0, 1)] * 3),
        mean=st.none() | st.floats(0, 1),
    ),
    max_size=20,
)


@pytest.fixture
def log(tmp_path: Path):
    log = open_decision_log(Home(tmp_path))
    yield log
    log.close()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(DECISIONS, st.datetimes(datetime(2024, 1, 1), datetime(2024, 2, 10), timezones=st.just(UTC)))  # noqa: DTZ001
def test_of_what_is_settled_the_first_of_a_model_customer_and_day(tmp_path_factory, decisions, settled_by) -> None:
    log = open_decision_log(Home(tmp_path_factory.mktemp("home")))
    log.append(decisions, recorded_at=NOON)
    for task in ("churn", "clv"):
        of_task = [d for d in decisions if d.task == task]
        settled = [d for d in of_task if d.answered_at + timedelta(days=d.horizon_days) <= settled_by]
        expected: dict[tuple, Decision] = {}
        for d in sorted(settled, key=lambda d: d.answered_at):
            expected.setdefault((d.model, d.customer_id, d.answered_at.date()), d)
        found = log.first_of_each_day(task, settled_by=settled_by)
        assert found == sorted(expected.values(), key=lambda d: (d.model, d.customer_id.encode(), d.answered_at))
        assert log.count(task) == len(of_task)
    log.close()


def test_what_one_process_wrote_another_reads(tmp_path: Path, log) -> None:
    other = open_decision_log(Home(tmp_path))
    log.append([DECISION], recorded_at=NOON)
    other.append([replace(DECISION, customer_id="bob")], recorded_at=NOON)
    read = log.first_of_each_day("churn", settled_by=NOON + timedelta(days=30))
    assert [decision.customer_id for decision in read] == ["ann", "bob"]
    other.close()


def test_a_horizon_that_ends_now_has_passed_and_not_a_moment_before(log) -> None:
    log.append([DECISION], recorded_at=NOON)
    end = NOON + timedelta(days=30)
    assert log.first_of_each_day("churn", settled_by=end - timedelta(microseconds=1)) == []
    assert log.first_of_each_day("churn", settled_by=end) == [DECISION]


@pytest.mark.parametrize("count", [0, 1, 12_000])
def test_pruning_forgets_what_was_written_before_and_nothing_else(log, count) -> None:
    log.append([DECISION] * count, recorded_at=NOON)
    log.append([DECISION] * 3, recorded_at=NOON + timedelta(days=1))
    assert log.prune(NOON) == 0
    assert log.prune(NOON + timedelta(days=1)) == count
    assert log.count("churn") == 3
    assert log.prune(NOON + timedelta(days=2)) == 3
    assert log.count("churn") == 0


def test_a_log_of_the_first_release_goes_on(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "decisions.db")) as old:
        old.execute(
            "CREATE TABLE decisions (position INTEGER PRIMARY KEY, customer_id TEXT NOT NULL, task TEXT NOT NULL, "
            "score REAL NOT NULL, horizon_days INTEGER NOT NULL, model TEXT NOT NULL, answered_at INTEGER NOT NULL, "
            "features_as_of INTEGER NOT NULL, request_id TEXT NOT NULL, recorded_at INTEGER NOT NULL)"
        )
        noon = int(NOON.timestamp() * 1e6)
        row = ("ann", "churn", 0.25, 30, "regulars-churn/1", noon, noon - 12 * 3_600_000_000, "r1", noon)
        old.execute("INSERT INTO decisions VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        old.commit()
    newer = replace(DECISION, customer_id="bob", interval=(1.0, 2.0, 3.0), mean=2.5)
    for _ in range(2):  # opened again, it is complete
        with closing(open_decision_log(Home(tmp_path))) as log:
            log.append([newer], recorded_at=NOON)
            assert log.first_of_each_day("churn", settled_by=NOON + timedelta(days=30)) == [DECISION, newer]


def test_a_file_that_is_none_says_so(tmp_path: Path) -> None:
    (tmp_path / "decisions.db").write_text("not a database at all")
    with pytest.raises(DamagedFile, match=r"decisions\.db: it is no SQLite database"):
        open_decision_log(Home(tmp_path))


class TestSettings:
    def test_on_and_400_days_where_nothing_is_said(self, monkeypatch) -> None:
        monkeypatch.delenv(DECISION_LOG, raising=False)
        monkeypatch.setenv(DECISION_LOG_DAYS, "")
        assert is_decision_log_on()
        assert kept_days_from_environment() == KEPT_DAYS

    def test_off(self, monkeypatch) -> None:
        monkeypatch.setenv(DECISION_LOG, "off")
        assert not is_decision_log_on()

    @pytest.mark.parametrize(
        ("name", "told", "read"),
        [
            (DECISION_LOG, "no", is_decision_log_on),
            (DECISION_LOG_DAYS, "0", kept_days_from_environment),
            (DECISION_LOG_DAYS, "a year", kept_days_from_environment),
        ],
    )
    def test_other_words_are_refused_by_name(self, monkeypatch, name, told, read) -> None:
        monkeypatch.setenv(name, told)
        with pytest.raises(BadSetting, match=f"{name} is {told!r}"):
            read()
