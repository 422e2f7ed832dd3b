"""One small shop with its models, built once and only read, and a workshop: the same shop, where tests break things."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest
from starlette.testclient import TestClient

from facts.home import Home

if TYPE_CHECKING:
    from scoring.model import TaskModel

sys.path.insert(0, str(Path(__file__).parent))  # for the builders in shop.py

Serve: TypeAlias = Callable[..., AbstractContextManager[TestClient]]


@contextmanager
def environment(**names: str) -> Iterator[None]:
    kept = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        yield
    finally:
        for name, value in kept.items():
            os.environ.pop(name, None)
            os.environ.update({name: value} if value is not None else {})


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """The shop in a home, without models: what `home` and `workshop` are copies of."""
    folder = tmp_path_factory.mktemp("shop") / "stock"
    with environment(
        REGULARS_HOME=str(folder), BENTOML_HOME=str(folder.parent / "bentoml"), BENTOML_DO_NOT_TRACK="True"
    ):
        import shop

        home = shop.build_home(folder)
        shop.open_registry(home)
        yield home


@pytest.fixture(scope="session")
def home(stock: Home) -> Home:
    """The shop with a champion of every task; nothing may change it."""
    return Home(shutil.copytree(stock.folder, stock.folder.with_name("home")))


@pytest.fixture(scope="session")
def champions(home: Home, tmp_path_factory: pytest.TempPathFactory) -> dict[str, TaskModel]:
    """The champions of `home`, as they were before they were registered."""
    import shop

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
        from serving.service import Regulars

        told = {
            "REGULARS_HOME": str(home.folder),
            "REGULARS_AS_OF": as_of.isoformat() if as_of else "",
            # Prometheus takes the counters of one service in a process.
            "BENTOML_CONFIG_OPTIONS": f"services.Regulars.metrics.enabled={str(counted).lower()}",
        }
        with environment(**told), TestClient(Regulars.to_asgi()) as client:
            yield client

    return _serve


@pytest.fixture(scope="session")
def client(home: Home, champions: dict[str, TaskModel], serve: Serve) -> Iterator[TestClient]:
    """The service over `home`, as of the end of its record."""
    assert champions
    with serve(home, counted=True) as client:
        yield client
