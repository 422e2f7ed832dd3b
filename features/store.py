"""Feast's store over one home."""

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
from facts.home import PROJECT, Home, require_sqlite
from facts.lake import Lake

if TYPE_CHECKING:
    from feast import FeatureStore

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
    """Register what `features/` defines for the shop of a home (`feast apply`), and return the store.

    What was registered before and is no longer defined is removed.
    """
    from features import catalog, feature_services, feature_views
    from features.data_sources import snapshots_of, vectors_of
    from features.entities import customer

    store, lake = open_store(home), Lake(home.lake)
    features = catalog.of_shop(lake.shop().has)
    snapshots, vectors = snapshots_of(lake), vectors_of(lake)
    themes = [feature_views.theme_view(theme, features, snapshots) for theme in catalog.THEMES]
    vector = feature_views.vector_view(features, vectors)
    services = [feature_services.model_service(task, themes) for task in feature_services.MODELS]
    defined = [customer, snapshots, vectors, *filter(None, themes), vector]
    defined += [*services, feature_services.online_service(vector)]
    names = {item.name for item in defined}
    gone = [v for v in (*store.list_feature_services(), *store.list_feature_views()) if v.name not in names]
    with quietly():
        store.apply(defined, objects_to_delete=gone, partial=False)
    return store


def open_registered(home: Home) -> FeatureStore:
    """Open Feast's store over one home; register the definitions where there are none, or a stop left none.

    So it is where somebody removed the online store: registering makes its tables anew. And where the home was moved or
    copied: the registered places of the snapshots are absolute.
    """
    store = open_store(home)
    is_whole = store.list_feature_services() and (store.config.online_store.type != "sqlite" or _has_tables(home))
    return store if is_whole and _is_of(store, home) else apply_definitions(home)


def _is_of(store: FeatureStore, home: Home) -> bool:
    """Return whether every registered table lies in this home's lake."""
    lake = Lake(home.lake)
    return all(source.path == str(lake.path(source.name)) for source in store.list_data_sources())


def _has_tables(home: Home) -> bool:
    if not home.online_store.is_file():
        return False
    require_sqlite(home.online_store, advice="remove it and run `regulars materialize` again")
    with closing(sqlite3.connect(home.online_store)) as connection:
        return bool(connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall())


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
