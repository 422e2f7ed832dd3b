"""From an answer to the decision log: all of it, without making the answer wait, whatever the disk does."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from threading import Event

import corner_shop as shop
import pytest
from corner_shop import Serve, environment
from prometheus_client import REGISTRY

from facts.home import Home
from scoring.decision_log import Decision, DecisionLogFailed, open_decision_log
from scoring.model import TaskModel
from serving.decisions import Recorder
from serving.schema import TASKS, AmountScore, CustomerResult, ProbabilityScore

AT = datetime(2024, 7, 1, tzinfo=UTC)
REGULAR, OTHER, LAPSED, STRANGER = shop.REGULAR_IDS[0], shop.REGULAR_IDS[5], shop.LAPSED_IDS[0], "nobody"


class HeldLog:
    """A decision log in memory whose disk hangs, or refuses, until it is let go."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.kept: list[Decision] = []
        self.is_free, self.was_asked, self.refuses = Event(), Event(), refuses

    def append(self, decisions: Sequence[Decision], *, recorded_at: datetime) -> None:
        assert recorded_at.tzinfo
        self.was_asked.set()
        if self.refuses:
            raise DecisionLogFailed("memory", "disk full")
        self.is_free.wait(10)
        self.kept += decisions

    def first_of_each_day(self, task: str, *, settled_by: datetime) -> list[Decision]:
        raise NotImplementedError

    def count(self, task: str) -> int:
        return sum(decision.task == task for decision in self.kept)

    def prune(self, recorded_before: datetime) -> int:
        assert recorded_before < datetime.now(UTC) - timedelta(days=6)
        return 0

    def close(self) -> None:
        self.is_free.set()


def results(*customer_ids: str) -> list[CustomerResult]:
    churn = ProbabilityScore(probability=0.25, horizon_days=30, model="regulars-churn/1")
    clv = AmountScore(
        amount=12.5, mean=14.3, p10=3.0, p50=11.0, p90=30.0, currency="EUR", horizon_days=90, model="regulars-clv/1"
    )
    return [CustomerResult(customer_id=c, status="ok", churn=churn, clv=clv, features_as_of=AT) for c in customer_ids]


def counted(name: str) -> float:
    return REGISTRY.get_sample_value(f"regulars_decisions_{name}_total") or 0.0


@pytest.fixture
def models(champions: dict[str, TaskModel]) -> dict[str, TaskModel]:
    return {task: champions[task] for task in ("churn", "clv")}


@pytest.fixture
def log() -> Iterator[HeldLog]:
    log = HeldLog()
    yield log
    log.is_free.set()


def test_nothing_is_lost_that_was_taken_before_the_end(log, models) -> None:
    log.is_free.set()
    before = counted("kept")
    recorder = Recorder(lambda: log, kept_days=7, write_seconds=0.01)
    for number in range(500):
        recorder.take(results(f"c{number}"), models, answered_at=AT, request_id=f"r{number}")
    recorder.close()
    assert [d.request_id for d in log.kept if d.task == "clv"] == [f"r{number}" for number in range(500)]
    assert {(d.task, d.score, d.interval, d.mean, d.model) for d in log.kept} == {
        ("churn", 0.25, None, None, models["churn"].label),
        ("clv", 12.5, (3.0, 11.0, 30.0), 14.3, models["clv"].label),
    }
    assert counted("kept") - before == len(log.kept) == 1000


def test_a_disk_that_hangs_holds_no_answer_and_what_is_too_much_is_counted_and_said_once(log, models, caplog) -> None:
    before = counted("dropped")
    recorder = Recorder(lambda: log, kept_days=7, most_waiting=10, write_seconds=0.01)
    recorder.take(results("first"), models, answered_at=AT, request_id="first")
    assert log.was_asked.wait(10)
    started = time.monotonic()
    with caplog.at_level(logging.ERROR, logger="bentoml.regulars"):
        for number in range(1000):
            recorder.take(results(f"c{number}"), models, answered_at=AT, request_id=str(number))
    assert time.monotonic() - started < 1
    assert counted("dropped") - before == 2 * (1000 - 4)  # two scores each; five requests fit, the first among them
    assert len([line for line in caplog.messages if "behind" in line]) == 1
    log.is_free.set()
    recorder.close()
    assert [d.request_id for d in log.kept if d.task == "clv"] == ["first", "0", "1", "2", "3"]


def test_what_is_written_makes_room(log, models) -> None:
    log.is_free.set()
    recorder = Recorder(lambda: log, kept_days=7, most_waiting=2, write_seconds=0.01)
    for number in range(10):
        recorder.take(results("ann"), models, answered_at=AT, request_id=str(number))
        deadline = time.monotonic() + 10
        while recorder._waiting:
            assert time.monotonic() < deadline
            time.sleep(0.005)
    recorder.close()
    assert [d.request_id for d in log.kept if d.task == "clv"] == [str(number) for number in range(10)]


def test_a_disk_that_refuses_is_counted_said_once_and_tried_again(models, caplog) -> None:
    log, before = HeldLog(refuses=True), counted("dropped")
    log.is_free.set()
    recorder = Recorder(lambda: log, kept_days=7, write_seconds=0.01)
    with caplog.at_level(logging.ERROR, logger="bentoml.regulars"):
        for number in range(3):
            log.was_asked.clear()
            recorder.take(results("ann"), models, answered_at=AT, request_id=str(number))
            assert log.was_asked.wait(10)
    log.refuses = False
    recorder.take(results("ann"), models, answered_at=AT, request_id="again")
    recorder.close()
    assert counted("dropped") - before == 6
    assert len([line for line in caplog.messages if "disk full" in line]) == 1
    assert {d.request_id for d in log.kept} == {"again"}


def test_a_log_that_cannot_be_opened_stops_nobody(tmp_path, models, caplog) -> None:
    (tmp_path / "decisions.db").write_text("not a database")
    before = counted("dropped")
    with caplog.at_level(logging.ERROR, logger="bentoml.regulars"):
        recorder = Recorder(lambda: open_decision_log(Home(tmp_path)), kept_days=7, write_seconds=0.01)
        recorder.take(results("ann"), models, answered_at=AT, request_id="1")
        recorder.close()
    assert counted("dropped") - before == 2
    assert "no SQLite database" in caplog.text


class TestTheService:
    def test_every_score_that_is_answered_is_kept_as_it_was_answered(
        self, home: Home, champions: dict[str, TaskModel], serve: Serve, tmp_path
    ) -> None:
        assert champions
        own = Home(shutil.copytree(home.folder, tmp_path / "own"))
        for file in own.folder.glob("decisions.db*"):  # what other tests asked
            file.unlink()
        body = {"customer_ids": [REGULAR, OTHER, REGULAR, LAPSED, STRANGER]}
        with serve(own) as client:
            told = client.post("/v1/score", json=body).json()
            client.post("/v1/score", json=body | {"tasks": ["clv"], "customer_ids": [OTHER]})
        log = open_decision_log(own)
        far = shop.UNTIL + timedelta(days=1000)
        by_customer = {result["customer_id"]: result for result in told["results"]}
        for task, model in champions.items():
            kept = log.first_of_each_day(task, settled_by=far)
            assert [d.customer_id for d in kept] == sorted([REGULAR, OTHER])
            for decision in kept:
                scored = by_customer[decision.customer_id][task]
                assert (decision.score, decision.model) == (scored[model.kind], scored["model"])
                assert decision.horizon_days == scored["horizon_days"]
                ends = None if model.kind == "probability" else tuple(scored[name] for name in ("p10", "p50", "p90"))
                assert (decision.interval, decision.mean) == (ends, scored.get("mean"))
                assert decision.answered_at == datetime.fromisoformat(told["scored_at"])
                assert decision.features_as_of == shop.UNTIL
                assert decision.request_id == told["request_id"]
        assert [log.count(task) for task in TASKS] == [2 + (task == "clv") for task in TASKS]
        log.close()

    def test_off_keeps_nothing(self, home: Home, champions: dict[str, TaskModel], serve: Serve, tmp_path) -> None:
        assert champions
        own = Home(shutil.copytree(home.folder, tmp_path / "own"))
        (own.folder / "decisions.db").unlink(missing_ok=True)
        with environment(REGULARS_DECISION_LOG="off"), serve(own) as client:
            assert client.post("/v1/score", json={"customer_ids": [REGULAR]}).json()["results"][0]["status"] == "ok"
        assert not (own.folder / "decisions.db").exists()
