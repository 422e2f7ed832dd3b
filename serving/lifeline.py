"""A worker ends with its supervisor, even if that was killed: an orphan would go on answering on the port."""

from __future__ import annotations

import os
import signal
import threading
import time

SUPERVISED = "REGULARS_SUPERVISED"  # set where this project starts the service
LOOK_SECONDS = 1.0


def end_with_supervisor() -> None:
    """Watch for the end of this process's parent, where this project started it."""
    if os.environ.get(SUPERVISED):
        threading.Thread(target=_watch, args=[os.getppid()], name="lifeline", daemon=True).start()


def _watch(supervisor: int) -> None:
    while os.getppid() == supervisor:
        time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
