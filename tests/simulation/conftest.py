"""Simulated shops, written once a session."""

from __future__ import annotations

import pytest

from simulation.run import simulate
from tests.simulation.written import CUSTOMERS, DAYS, SEED, Shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return written(tmp_path_factory, CUSTOMERS)


@pytest.fixture(scope="session")
def small_shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return written(tmp_path_factory, 300)


def written(tmp_path_factory: pytest.TempPathFactory, customers: int) -> Shop:
    folder = tmp_path_factory.mktemp("simulated") / "shop"
    return Shop(folder, simulate(customers=customers, seed=SEED, days=DAYS, output=folder))
