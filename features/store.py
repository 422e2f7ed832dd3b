"""The snapshot tables as Feast reads them, and the store itself."""

from __future__ import annotations

import io
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from facts.errors import DamagedFile
from facts.home import PROJECT, Home
from facts.lake import Lake

if TYPE_CHECKING:
    from feast import FeatureStore

SNAPSHOTS = "customer_snapshots"  # one row per customer and cutoff, a column per feature
VECTORS = "customer_vectors"  # the same rows, the features as one vector in catalog order
TTL = timedelta(days=15)  # older features are not known: offline they do not join, online they are stale


def definitions_folder() -> Path:
    """Return the folder that holds `feature_store.yaml` and `features/`."""
    return PROJECT


def open_store(home: Home) -> FeatureStore:
    """Open Feast's store over one home: the settings of `feature_store.yaml`, the places of the home."""
    from feast import FeatureStore
    from feast.repo_config import load_repo_config

    home.folder.mkdir(parents=True, exist_ok=True)
    root = definitions_folder()
    config = load_repo_config(root, root / "feature_store.yaml")
    if config.online_store.type == "sqlite":
        config.online_store.path = str(home.online_store)
    if config.registry.registry_type == "file":
        config.registry.path = str(home.registry)
        _require_registry(home.registry)
    return FeatureStore(config=config)


def _require_registry(path: Path) -> None:
    from feast.protos.feast.core.Registry_pb2 import Registry
    from google.protobuf.message import DecodeError

    if path.is_file():
        try:
            Registry.FromString(path.read_bytes())
        except DecodeError as error:
            advice = "remove it and run `regulars features build` again"
            raise DamagedFile(path, "it is no Feast registry", advice=advice) from error


def apply_definitions(home: Home) -> FeatureStore:
    """Register what `features/` defines (`feast apply`) and return the store."""
    from feast.repo_operations import parse_repo

    store = open_store(home)
    contents = parse_repo(definitions_folder())
    for source in contents.data_sources:  # the definitions were read for the home of the environment
        source.file_options.uri = str(Lake(home.lake).path(source.name))
    store.apply(
        [
            *contents.entities,
            *contents.data_sources,
            *contents.feature_views,
            *contents.on_demand_feature_views,
            *contents.feature_services,
        ]
    )
    return store


@contextmanager
def quietly() -> Iterator[None]:
    """Keep Feast's progress lines and its libraries' warnings off the terminal."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def let_readers_pass(home: Home) -> None:
    """Put the embedded online store in WAL mode, so that reads do not wait for a materialization."""
    with closing(sqlite3.connect(home.online_store)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
