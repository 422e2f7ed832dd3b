"""Acknowledged means durable: logs whose processes and servers are killed, refuse, or do not answer."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from facts.errors import DamagedFile
from facts.event_log import EVENT_LOG, EventLogFailed, event_log_from_environment, open_event_log
from facts.event_log.in_redis import RedisLog
from facts.event_log.in_sqlite import SqliteLog
from facts.event_log.records import to_microseconds
from facts.home import PROJECT, Home
from tests.builders import at
from tests.facts.test_event_log import EVER, NOON, ids_of, message, waiting_ids
from tests.redis_server import RedisServer

# Told to, appends batches of ten until it is killed, and says each one that is acknowledged.
WRITER = """
import sys
from pathlib import Path
from facts.event_log.in_sqlite import SqliteLog
from facts.event_log.records import Message, from_microseconds
path, name, batches, noon = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
log, noon = SqliteLog.open(Path(path)), from_microseconds(int(noon))
said = {"customer_id": name, "event": "Page", "occurred_at": noon, "properties": "{}", "content": "x"}
for batch in range(int(batches)):
    told = [Message(index=n, message_id=f"{name}-{batch}-{n}", **said) for n in range(10)]
    log.append(told, received_at=noon)
    print(batch, flush=True)
"""


def start_writer(path: Path, name: str, batches: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), name, str(batches), str(to_microseconds(NOON))]
    writer = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert writer.stdout.readline() == "ready\n"
    return writer


def go(*writers: subprocess.Popen[str]) -> None:
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()


class TestSqlite:
    def test_killed_in_the_middle_it_has_every_acknowledged_batch_and_no_half_one(self, tmp_path: Path) -> None:
        path = tmp_path / "events.db"
        writer = start_writer(path, "w", 1_000_000)
        go(writer)
        acknowledged = [writer.stdout.readline() for _ in range(30)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += writer.stdout.readlines()
        writer.wait()
        log = SqliteLog.open(path)
        kept = ids_of(log, "w")
        assert {f"w-{int(batch)}-{n}" for batch in acknowledged for n in range(10)} <= set(kept)
        assert len(kept) % 10 == 0
        assert sorted(waiting_ids(log, 1_000_000)) == sorted(kept)

    def test_several_processes_open_and_write_one_at_once(self, tmp_path: Path) -> None:
        writers = [start_writer(tmp_path / "events.db", f"w{n}", 20) for n in range(3)]
        go(*writers)
        assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
        log = SqliteLog.open(tmp_path / "events.db")
        assert [len(ids_of(log, f"w{n}")) for n in range(3)] == [200, 200, 200]
        positions = [int(waiting.position) for waiting in log.undrained(1000)]
        assert positions == sorted(set(positions))

    def test_threads_share_one(self, tmp_path: Path) -> None:
        log = SqliteLog.open(tmp_path / "events.db")

        def write(name: str) -> None:
            for n in range(20):
                log.append([message(f"{name}-{n}", name)], received_at=NOON)
                assert len(ids_of(log, name)) == n + 1, "what was appended is read at once"

        threads = [threading.Thread(target=write, args=(f"t{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [len(ids_of(log, f"t{n}")) for n in range(4)] == [20] * 4

    def test_it_syncs_at_every_commit_in_wal_mode(self, tmp_path: Path) -> None:
        log = SqliteLog.open(tmp_path / "events.db")
        assert [log._writer.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")] == [
            "wal", 2,
        ]  # fmt: skip

    def test_the_index_finds_a_customer(self, tmp_path: Path) -> None:
        log = SqliteLog.open(tmp_path / "events.db")
        from facts.event_log.in_sqlite import _RECENT, _UNDRAINED

        plans = [
            " ".join(row[3] for row in log._reader.execute(f"EXPLAIN QUERY PLAN {query}", parameters))
            for query, parameters in ((_RECENT, ('["a"]', 0, 1, 0)), (_UNDRAINED, (1,)))
        ]
        assert "USING INDEX of_customer" in plans[0]
        assert "INDEX waiting" in plans[1]

    def test_a_full_disk_is_said_and_leaves_nothing_half(self, tmp_path: Path) -> None:
        log = SqliteLog.open(tmp_path / "events.db")
        log.append([message("m1")], received_at=NOON)
        log._writer.execute("PRAGMA max_page_count = 12")
        batch = [message(f"big-{n}", text="x" * 30_000) for n in range(10)]
        with pytest.raises(EventLogFailed, match=r"events\.db: database or disk is full; nothing was acknowledged"):
            log.append(batch, received_at=NOON)
        assert ids_of(log) == ["m1"]
        log._writer.execute("PRAGMA max_page_count = 100000")
        assert log.append(batch, received_at=NOON).accepted == 10

    def test_what_is_no_database_is_refused_and_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "events.db"
        path.write_bytes(b"something else entirely" * 10)
        with pytest.raises(DamagedFile, match="it is no SQLite database; move it away"):
            SqliteLog.open(path)
        assert path.read_bytes().startswith(b"something else")

    def test_a_table_of_another_shape_is_said(self, tmp_path: Path) -> None:
        path = tmp_path / "events.db"
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE events (x)")
        with pytest.raises(EventLogFailed, match=r"events\.db: no such column"):
            SqliteLog.open(path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path).start()
    yield server
    server.kill()


class TestRedis:
    def test_killed_and_started_again_it_has_every_acknowledged_event(self, server: RedisServer) -> None:
        log, acknowledged = RedisLog.open(server.address), []
        stop = threading.Timer(0.5, server.kill)
        stop.start()

        def write(number: int) -> None:
            batch = [message(f"m{number}-{k}") for k in range(10)]
            if number == 3:
                log.mark_drained(log.undrained(20)[-1].position)
            log.append(batch, received_at=NOON)
            acknowledged.extend(told.message_id for told in batch)

        with pytest.raises(EventLogFailed, match="nothing was acknowledged"):
            any(write(number) for number in range(1_000_000))
        stop.join()
        server.start()
        kept = ids_of(log)
        assert set(acknowledged) <= set(kept)
        assert len(acknowledged) > 100
        assert len(kept) % 10 == 0, "no half batch"
        assert len(waiting_ids(log, 1_000_000)) == len(kept) - 20
        again = [message(message_id) for message_id in acknowledged[:50]]
        assert log.append(again, received_at=NOON).duplicates == 50

    @pytest.mark.parametrize(
        ("name", "value"), [("appendonly", "no"), ("appendfsync", "everysec"), ("no-appendfsync-on-rewrite", "yes")]
    )
    def test_settings_that_lose_what_was_acknowledged_are_refused_by_name(
        self, server: RedisServer, name: str, value: str
    ) -> None:
        server.client().config_set(name, value)
        with pytest.raises(EventLogFailed, match=f"the server has {name} {value}, so it can lose .*; set `{name} "):
            RedisLog.open(server.address)

    def test_a_policy_that_drops_events_is_refused(self, server: RedisServer) -> None:
        server.client().config_set("maxmemory-policy", "allkeys-lru")
        RedisLog.open(server.address)  # no limit, nothing to drop
        server.client().config_set("maxmemory", "100mb")
        with pytest.raises(EventLogFailed, match="maxmemory-policy allkeys-lru, so it drops events"):
            RedisLog.open(server.address)

    def test_a_full_memory_is_said_and_leaves_nothing_half(self, server: RedisServer) -> None:
        log = RedisLog.open(server.address)
        log.append([message("m1")], received_at=NOON)
        server.client().config_set("maxmemory", "1")
        with pytest.raises(EventLogFailed, match=r"OOM.*nothing was acknowledged"):
            log.append([message("m2")], received_at=NOON)
        server.client().config_set("maxmemory", "0")
        assert ids_of(log) == waiting_ids(log) == ["m1"]

    def test_a_server_that_is_gone_is_said_at_once(self, server: RedisServer) -> None:
        log = RedisLog.open(server.address)
        server.kill()
        for call in (
            lambda: log.append([message("m1")], received_at=NOON),
            lambda: log.recent(["ann"], since=NOON, known_before=EVER),
            lambda: log.undrained(1),
            lambda: log.mark_drained("1-1"),
            lambda: log.prune(EVER),
            lambda: RedisLog.open(server.address),
        ):
            started = time.monotonic()
            with pytest.raises(EventLogFailed, match=f"event log redis://127.0.0.1:{server.port}/0: .*refused"):
                call()
            assert time.monotonic() - started < 1
        server.start()
        assert log.append([message("m1")], received_at=NOON).accepted == 1

    def test_a_server_that_hangs_is_given_up_after_a_while(self, server: RedisServer) -> None:
        log = RedisLog.open(server.address, answer_seconds=0.4)
        os.kill(server.process.pid, signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises(EventLogFailed, match=r"[Tt]imeout"):
            log.append([message("m1")], received_at=NOON)
        assert time.monotonic() - started < 1.5
        os.kill(server.process.pid, signal.SIGCONT)
        # Whether it was taken is not known: sent again, it is there once.
        log.append([message("m1")], received_at=NOON)
        assert ids_of(log) == ["m1"]

    def test_a_password_is_not_shown(self, server: RedisServer) -> None:
        with pytest.raises(EventLogFailed) as failed:
            RedisLog.open(f"redis://user:s3cret@127.0.0.1:{server.port}/0")
        assert "s3cret" not in str(failed.value)

    def test_two_clients_see_one_log(self, server: RedisServer) -> None:
        one, other = (RedisLog.open(server.address) for _ in range(2))
        assert one.append([message("m1")], received_at=NOON).accepted == 1
        assert other.append([message("m1")], received_at=NOON).duplicates == 1
        assert ids_of(other) == ["m1"]


class TestChoice:
    def test_a_file_in_the_home_by_default(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(EVENT_LOG, raising=False)
        log = event_log_from_environment(Home(tmp_path / "home"))
        log.append([message("m1", occurred_at=at(1))], received_at=NOON)
        assert (tmp_path / "home" / "events.db").is_file()

    def test_redis_where_the_setting_names_it(
        self, tmp_path: Path, server: RedisServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(EVENT_LOG, server.address)
        event_log_from_environment(Home(tmp_path / "home")).append([message("m1")], received_at=NOON)
        assert server.client().hlen("{regulars}:events") == 1
        assert not (tmp_path / "home").exists()

    @pytest.mark.parametrize("address", ["kafka://host", "localhost:6379", "redis:6379"])
    def test_an_address_that_is_none_is_refused(self, tmp_path: Path, address: str) -> None:
        with pytest.raises(EventLogFailed, match=f"not an address of Redis; set {EVENT_LOG} to redis://host:6379/0"):
            open_event_log(Home(tmp_path), address=address)

    def test_a_port_that_is_none_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(EventLogFailed, match=r"event log redis://127\.0\.0\.1:x"):
            open_event_log(Home(tmp_path), address="redis://127.0.0.1:x")
