"""One small shop with its models, built once and only read, and a workshop: the same shop, where tests break things."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from facts.home import Home

if TYPE_CHECKING:
    from scoring.model import TaskModel

sys.path.insert(0, str(Path(__file__).parent))  # for the builders in corner_shop.py

import corner_shop as shop
from corner_shop import Serve, environment


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The shop in a home, without models: what `home` and `workshop` are copies of."""
    folder = tmp_path_factory.mktemp("shop") / "stock"
    with environment(REGULARS_HOME=str(folder)):
        home = shop.build_home(folder)
    shop.open_registry(home)
    return home


@pytest.fixture(scope="session")
def home(stock: Home) -> Home:
    """The shop with a champion of every task; nothing may change it."""
    return Home(shutil.copytree(stock.folder, stock.folder.with_name("home")))


@pytest.fixture(scope="session")
def champions(home: Home, tmp_path_factory: pytest.TempPathFactory) -> dict[str, TaskModel]:
    """The champions of `home`, as they were before they were registered."""
    return shop.register_all(home, tmp_path_factory.mktemp("scratch"))


@pytest.fixture(scope="session")
def workshop(stock: Home) -> Home:
    """The shop without a champion; every test says which champions it has."""
    return Home(shutil.copytree(stock.folder, stock.folder.with_name("workshop")))


@pytest.fixture(scope="session")
def serve() -> Serve:
    """Serve a home in this process, as of an instant or the shop's now."""

    @contextmanager
    def _serve(home: Home, *, as_of: datetime | None = None, counted: bool = False) -> Iterator[TestClient]:
        told = {
            "BENTOML_HOME": str(home.folder.with_name("bentoml")),
            "BENTOML_DO_NOT_TRACK": "True",
            "REGULARS_HOME": str(home.folder),
            "REGULARS_AS_OF": as_of.isoformat() if as_of else "",
            # Prometheus takes the counters of one service in a process.
            "BENTOML_CONFIG_OPTIONS": f"services.Regulars.metrics.enabled={str(counted).lower()}",
        }
        with environment(**told):
            from serving.service import Regulars

            with TestClient(Regulars.to_asgi()) as client:
                yield client

    return _serve


@pytest.fixture(scope="session")
def client(home: Home, champions: dict[str, TaskModel], serve: Serve) -> Iterator[TestClient]:
    """The service over `home`, as of the end of its record."""
    assert champions
    with serve(home, counted=True) as client:
        yield client
