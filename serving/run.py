"""The service as a process: started, waited for, and stopped with all that it started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import psutil  # type: ignore[import-untyped]

from facts.errors import RegularsError
from facts.event_log import event_log_from_environment
from facts.home import PROJECT, Home
from facts.lake import Lake
from serving.champions import find_champions
from serving.clock import AS_OF, Clock, as_of_from_environment
from serving.decisions import require_decision_settings
from serving.lifeline import SUPERVISED
from serving.online import open_online, require_not_later, require_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

SERVICE = "serving.service:Regulars"
DEADLINE_SECONDS = 120.0
GRACE_SECONDS = 10.0
_TAIL_LINES = 15


class ServerFailed(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """The service did not come up, or the place where it should listen is taken."""


@dataclass(frozen=True, slots=True)
class Server:
    """A service that runs: where it listens, its process and its log."""

    url: str
    pid: int
    log: Path


def require_servable(home: Home, *, as_of: datetime | None = None) -> Sequence[str]:
    """Return the tasks that will be answered; raise, as one sentence, what would keep the service from starting.

    It opens what a worker will open, and closes it: a worker that cannot start is started again for ever.
    """
    clock = Clock.of(Lake(home.lake).shop(), as_of=as_of or as_of_from_environment())
    require_store(home)
    require_not_later(home, clock.stands_at or clock.now())
    champions = find_champions(home)
    require_decision_settings()
    with closing(event_log_from_environment(home)) as log:
        open_online(home, log, champions, at=clock.now())
    return list(champions)


@contextmanager
def start_server(
    home: Home,
    *,
    port: int | None = None,
    host: str = "127.0.0.1",
    as_of: datetime | None = None,
    workers: int = 1,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> Iterator[Server]:
    """Run the service beside this process until the block ends.

    Parameters
    ----------
    home
        Whose state it serves.
    port
        Where it listens; a free port where it is 0 or None.
    as_of
        The aware instant as of which it answers; by default the shop's now.
    workers
        Processes that answer.
    deadline_seconds
        How long it may take to be ready.

    Raises
    ------
    RegularsError
        There is nothing to serve, or it does not fit together; nothing was started.
    ServerFailed
        The port is taken, or the service died or was not ready in time; the message has the end of its log.
    """
    require_servable(home, as_of=as_of)
    port = _free_port(host, port or 0)
    environment = _environment(home, as_of=as_of, workers=workers)
    log = _folder(home) / f"server-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command
            _command(host, port),
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # an interrupt at the terminal is ours: we stop the server in order
        )
    try:
        url = f"http://{_in_url(host)}:{port}"
        _wait_until_ready(process, url, log, deadline_seconds=deadline_seconds)
        yield Server(url=url, pid=process.pid, log=log)
    finally:
        _stop(process)


def serve_foreground(
    home: Home,
    *,
    port: int = 3000,
    host: str = "127.0.0.1",
    as_of: datetime | None = None,
    workers: int = 1,
    announce: Callable[[str, Sequence[str]], None] = lambda _url, _tasks: None,
) -> NoReturn:
    """Become the service: this process turns into it, so that signals reach it and its log goes to the terminal.

    Before that `announce` is told where it listens, and the tasks that it answers.

    Raises
    ------
    RegularsError
        There is nothing to serve, it does not fit together, or the port is taken.
    """
    tasks = require_servable(home, as_of=as_of)
    port = _free_port(host, port)
    announce(f"http://{_in_url(host)}:{port}", tasks)
    environment = _environment(home, as_of=as_of, workers=workers)
    command = _command(host, port)
    sys.stdout.flush()
    sys.stderr.flush()
    os.chdir(PROJECT)
    os.execve(command[0], command, environment)  # noqa: S606 - our own command


def _command(host: str, port: int) -> list[str]:
    return [sys.executable, "-m", "bentoml", "serve", SERVICE, "--host", host, "--port", str(port)]


def _environment(home: Home, *, as_of: datetime | None, workers: int) -> dict[str, str]:
    environment = os.environ | {
        "REGULARS_HOME": str(home.folder.absolute()),
        "BENTOML_HOME": str(_folder(home) / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_CONFIG_OPTIONS": f"services.Regulars.workers={workers}",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")])),
        "PYTHONUNBUFFERED": "1",
        SUPERVISED: "1",
    }
    return environment | ({AS_OF: as_of.isoformat()} if as_of is not None else {})


def _folder(home: Home) -> Path:
    folder = home.folder.absolute() / "serving"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _free_port(host: str, port: int) -> int:
    """Return the port, or a free one where it is 0; raise ServerFailed where it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServerFailed(f"cannot listen on {host}:{port}: {error.strerror}; choose another port") from error
        return int(probe.getsockname()[1])


def _in_url(host: str) -> str:
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - listening everywhere
    return f"[{reachable}]" if ":" in reachable else reachable


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path, *, deadline_seconds: float) -> None:
    deadline = time.monotonic() + deadline_seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerFailed(f"the service died with exit code {process.returncode}; its log ends\n{_tail(log)}")
        if _is_ready(url):
            return
        time.sleep(0.05)
    raise ServerFailed(f"the service was not ready in {deadline_seconds:g} s; its log ends\n{_tail(log)}")


def _is_ready(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{url}/readyz", timeout=2) as response:  # noqa: S310 - our own http
        return bool(response.status == 200)  # noqa: PLR2004
    return False


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:])


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to stop, then end whatever is left of it and of its workers."""
    try:
        workers = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        workers = []
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=GRACE_SECONDS)
    if process.poll() is None:
        process.kill()
        process.wait()
    for worker in workers:
        with suppress(psutil.NoSuchProcess):  # psutil knows a process from a later one of the same number
            worker.kill()
    psutil.wait_procs(workers, timeout=GRACE_SECONDS)
