"""What a version promised: what its test cutoff measured of it, and when that was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from scoring.registry import run_folder
from training.metrics import Estimate
from training.tracking import REPORT
from training.verdict import MODEL

if TYPE_CHECKING:
    from facts.home import Home


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What a version's report says of it: its metrics on the test cutoff, with intervals."""

    version: str
    test_cutoff: datetime
    estimates: Mapping[str, Estimate]


def read_promise(home: Home, task: str, version: str) -> Promise:
    """Read what a registered version promised; raise UnusableChampion where its run is gone."""
    report = json.loads((run_folder(home, task, version) / REPORT).read_text(encoding="utf-8"))
    return Promise(
        version=version,
        test_cutoff=datetime.fromisoformat(report["test_cutoff"]),
        estimates={name: Estimate(**told) for name, told in (report["estimates"][MODEL] | report["interval"]).items()},
    )
