"""The service as a process, over HTTP."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import corner_shop as shop
import httpx
import psutil
import pytest

from facts.errors import NotYet, RegularsError
from facts.event_log import EVENT_LOG, EventLogFailed
from facts.home import PROJECT, Home
from scoring.decision_log import DECISION_LOG, BadSetting, open_decision_log
from scoring.model import TaskModel
from serving.run import ServerFailed, serve_foreground, start_server
from serving.schema import TASKS


@pytest.fixture
def served(home: Home, champions: dict[str, TaskModel]) -> Home:
    assert champions
    return home


def workers_of(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def test_it_answers_as_of_an_instant_and_leaves_nothing_running(served: Home) -> None:
    as_of = shop.UNTIL + timedelta(days=20)
    with start_server(served, as_of=as_of, workers=2) as server:
        answer = httpx.post(
            f"{server.url}/v1/score", json={"customer_ids": [shop.REGULAR_IDS[0], "nobody"]}, timeout=30
        )
        bad = httpx.post(f"{server.url}/v1/score", json={"customer_ids": [1]}, timeout=30)
        workers = workers_of(server.pid)
        assert [worker.environ()["OMP_NUM_THREADS"] for worker in workers] == ["1", "1"]
    assert answer.status_code == 200
    assert [result["status"] for result in answer.json()["results"]] == ["stale_features", "unknown_customer"]
    assert bad.status_code == 400
    assert bad.json()["error"]["field"] == "customer_ids.0"
    assert not any(worker.is_running() for worker in workers)
    assert not psutil.pid_exists(server.pid)
    assert server.log.is_relative_to(served.folder)
    assert "Traceback" not in server.log.read_text()


def test_every_worker_keeps_what_it_answers_and_counts_it(served: Home, tmp_path: Path) -> None:
    own = Home(shutil.copytree(served.folder, tmp_path / "own"))
    (own.folder / "decisions.db").unlink(missing_ok=True)
    with start_server(own, workers=2) as server:
        for _ in range(40):
            httpx.post(f"{server.url}/v1/score", json={"customer_ids": [shop.REGULAR_IDS[0]]}, timeout=30)
        deadline = time.monotonic() + 30
        kept = f"regulars_decisions_kept_total {40.0 * len(TASKS)}"
        while kept not in (page := httpx.get(f"{server.url}/metrics").text):
            assert time.monotonic() < deadline, page
            time.sleep(0.1)
        httpx.post(f"{server.url}/v1/score", json={"customer_ids": [shop.REGULAR_IDS[0]]}, timeout=30)
    log = open_decision_log(own)
    assert [log.count(task) for task in TASKS] == [41] * len(TASKS)  # the last was written as the service went
    log.close()


def test_workers_end_with_a_supervisor_that_was_killed(served: Home) -> None:
    with start_server(served) as server:
        workers = workers_of(server.pid)
        assert workers
        psutil.Process(server.pid).kill()
        _gone, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive


def test_in_the_foreground_a_signal_ends_it(served: Home) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = (
        "from pathlib import Path; from facts.home import Home; from serving.run import serve_foreground; "
        f"serve_foreground(Home(Path({str(served.folder)!r})), port={port})"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=PROJECT, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        workers = workers_of(process.pid)
        assert workers
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) in {0, -signal.SIGINT}
        assert not any(worker.is_running() for worker in workers)
    finally:
        process.kill()
        process.wait()


def test_a_shop_without_a_champion_is_served_for_its_events(stock: Home, tmp_path: Path) -> None:
    home = Home(shutil.copytree(stock.folder, tmp_path / "home"))
    with start_server(home) as server:
        told = {"type": "track", "messageId": "m1", "userId": "1", "event": "Cart Viewed"}
        assert httpx.post(f"{server.url}/v1/events", json={"batch": [told]}).json()["accepted"] == 1
        assert httpx.post(f"{server.url}/v1/score", json={"customer_ids": ["1"]}).status_code == 503


def test_nothing_to_serve_is_said_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(NotYet, match="there is no lake"):
        serve_foreground(Home(tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["events.db", "online.db", "registry.db"])
def test_damaged_state_is_said_before_anything_starts(served: Home, tmp_path: Path, name: str) -> None:
    home = Home(shutil.copytree(served.folder, tmp_path / "home", ignore=shutil.ignore_patterns("*.log")))
    for file in home.folder.glob(f"{name}*"):
        file.unlink()
    (home.folder / name).write_text("junk\n")
    with pytest.raises(RegularsError, match=f"{home.folder / name}: .*; "), start_server(home):
        pass
    assert not list((home.folder / "serving").glob("*.log"))


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://foo", "that is not an address of Redis"),
        ("redis://127.0.0.1:1/0", "event log redis://127.0.0.1:1/0: "),
    ],
)
def test_an_event_log_that_does_not_open_is_said_before_anything_starts(
    served: Home, monkeypatch: pytest.MonkeyPatch, address: str, said: str
) -> None:
    monkeypatch.setenv(EVENT_LOG, address)
    with pytest.raises(EventLogFailed, match=said), start_server(served):
        pass


def test_a_taken_port_is_named(served: Home) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another port"
        with pytest.raises(ServerFailed, match=said), start_server(served, port=port):
            pass


def test_one_that_is_not_ready_in_time_shows_its_log(served: Home) -> None:
    with (
        pytest.raises(ServerFailed, match=r"not ready in 0.1 s; its log ends"),
        start_server(served, deadline_seconds=0.1),
    ):
        pass


def test_a_decision_setting_that_says_nothing_known_is_told_before_anything_starts(served: Home, monkeypatch) -> None:
    monkeypatch.setenv(DECISION_LOG, "nope")
    with pytest.raises(BadSetting, match="REGULARS_DECISION_LOG is 'nope'"), start_server(served):
        pass
