"""Which models are served, and which are refused. Every test says which champions the workshop has."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import corner_shop as shop
import mlflow
import pytest
from corner_shop import Serve
from openapi_page import described

from facts.drain import drain
from facts.errors import DamagedFile, NotYet
from facts.event_log import open_event_log
from facts.home import Home
from facts.lake import Lake
from facts.segment import read_batch
from features.build import build_snapshots
from features.materialize import ONLINE_NOTE, materialize, materialized_cutoff
from features.snapshots import VECTORS
from features.store import apply_definitions, open_registered
from features.vectors import HASH_LENGTH
from scoring.answers import FeatureMismatch
from scoring.model import TaskModel
from scoring.parts import Gate
from scoring.registry import UnusableChampion, champion_version, version_folder
from serving.champions import read_champions
from serving.clock import TICK
from serving.online import OnlineFeatures, OtherVectors, open_online
from serving.schema import TASKS

Enthrone: TypeAlias = Callable[..., str]


@pytest.fixture
def enthrone(workshop: Home, tmp_path: Path) -> Enthrone:
    """Take every champion of the workshop away; give back a way to make one of a model."""
    client = mlflow.MlflowClient(tracking_uri=workshop.tracking_uri)
    for task in TASKS:
        if champion_version(workshop, task):
            client.delete_registered_model_alias(f"regulars-{task}", "champion")

    def _enthrone(task: str, *, names: tuple[str, ...] | None = None, **changed: object) -> str:
        model: TaskModel = replace(shop.fit_model(workshop, task, names=names), **changed)
        return shop.register(workshop, model, scratch=tmp_path / "model")

    return _enthrone


def files_of(home: Home, task: str) -> Path:
    return version_folder(home, task, champion_version(home, task))


def test_the_champion_is_read_as_it_was_written(workshop: Home, enthrone: Enthrone) -> None:
    version = enthrone("clv")
    read, wrote = read_champions(workshop), shop.fit_model(workshop, "clv")
    assert read == {"clv": wrote.with_version(version)}
    rows = shop.matrix_of(shop.input_rows(workshop))
    assert read["clv"].score(rows).tolist() == wrote.score(rows).tolist()


def test_the_alias_decides_not_the_latest_version(workshop: Home, enthrone: Enthrone, tmp_path: Path) -> None:
    version = enthrone("churn")
    shop.register(workshop, shop.fit_model(workshop, "churn"), scratch=tmp_path / "challenger", alias=None)
    assert read_champions(workshop)["churn"].label == f"regulars-churn/{version}"


def test_no_champion_at_all(workshop: Home, enthrone: Enthrone) -> None:
    assert enthrone
    with pytest.raises(NotYet, match="there is no champion of any task yet; run `regulars train` first"):
        read_champions(workshop)


def test_no_registry_is_made_by_looking(tmp_path: Path) -> None:
    with pytest.raises(NotYet):
        read_champions(Home(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_task_without_a_champion(workshop: Home, enthrone: Enthrone, serve: Serve) -> None:
    enthrone("churn")
    body = {"customer_ids": [shop.REGULAR_IDS[0]]}
    with serve(workshop) as client:
        result = client.post("/v1/score", json=body).json()["results"][0]
        assert set(result) & set(TASKS) == {"churn"}
        response = client.post("/v1/score", json=body | {"tasks": ["churn", "clv"]})
    assert response.status_code == 400
    reason = "no champion for 'clv' yet; run `regulars train clv`"
    assert response.json()["error"] == {"field": "tasks.1", "reason": reason}


def test_another_feature_list_is_refused(workshop: Home, enthrone: Enthrone, serve: Serve) -> None:
    version = enthrone("churn", feature_hash="0123456789ab")
    said = f"regulars-churn/{version} was trained on feature list 0123456789ab, the catalog holds "
    with pytest.raises(FeatureMismatch, match=said), serve(workshop):
        pass


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"gate": Gate(feature="order_count_91d", at_least=1, said="orders")}, "model.json contradicts itself"),
        ({"kind": "amount"}, "it holds a model of 'churn' that predicts a amount"),
    ],
    ids=["gate", "kind"],
)
def test_a_model_that_is_not_what_it_says(
    workshop: Home, enthrone: Enthrone, changed: dict[str, object], said: str
) -> None:
    version = enthrone("churn", **changed)
    with pytest.raises(UnusableChampion, match=f"champion regulars-churn/{version} cannot be served: {said}"):
        read_champions(workshop)


@pytest.mark.parametrize("name", ["booster.ubj", "model.json"])
@pytest.mark.parametrize("content", [b"", b"{}", b"\x00" * 64], ids=["empty", "braces", "zeros"])
def test_a_damaged_file_is_named(workshop: Home, enthrone: Enthrone, name: str, content: bytes) -> None:
    enthrone("repurchase")
    path = files_of(workshop, "repurchase") / name
    path.write_bytes(content)
    with pytest.raises(UnusableChampion) as caught:
        read_champions(workshop)
    assert f"damaged model file {path}: " in str(caught.value)
    assert str(caught.value).endswith("train again")


def test_files_that_are_gone(workshop: Home, enthrone: Enthrone) -> None:
    version = enthrone("repurchase")
    files = files_of(workshop, "repurchase")
    for path in files.iterdir():
        path.unlink()
    with pytest.raises(UnusableChampion, match=rf"regulars-repurchase/{version} cannot be served: .* train again"):
        read_champions(workshop)


def test_a_home_that_was_copied_stands_alone(workshop: Home, enthrone: Enthrone, serve: Serve, tmp_path: Path) -> None:
    enthrone("churn")
    first = Home(shutil.copytree(workshop.folder, tmp_path / "artifacts" / "first"))
    wrote = read_champions(first)
    assert files_of(first, "churn").is_relative_to(first.artifacts)
    materialize(open_registered(first), first, as_of=shop.CUTOFFS[0])
    second = Home(first.folder.rename(tmp_path / "second"))
    assert files_of(second, "churn").is_relative_to(second.artifacts)
    materialize(open_registered(second), second, as_of=shop.UNTIL)
    assert read_champions(second) == wrote
    with serve(second) as client:
        (result,) = client.post("/v1/score", json={"customer_ids": [shop.REGULAR_IDS[0]]}).json()["results"]
    assert result["features_as_of"] == "2024-07-01T00:00:00Z"
    sources = open_registered(second).list_data_sources()
    assert {Path(source.path).parent for source in sources} == {second.lake}


def copy(source: Path, target: Path) -> None:
    """Copy a database that others may have open."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


def test_what_a_shop_has_for_the_first_time_needs_no_new_start(
    workshop: Home, enthrone: Enthrone, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first refund gives the shop features of returns: its next vectors are of another list."""
    monkeypatch.setattr("serving.online.LOOK_AGAIN_SECONDS", 0)
    enthrone("churn")
    home = Home(shutil.copytree(workshop.folder, tmp_path / "home"))
    materialize(open_registered(home), home, as_of=shop.UNTIL)
    who, other = shop.REGULAR_IDS[:2]

    def ask() -> list[dict[str, object]]:
        body = {"customer_ids": [who, other], "features": True}
        results = client.post("/v1/score", json=body).json()["results"]
        assert [result["status"] for result in results] == ["ok", "ok"]
        return [result["features"] for result in results]

    with serve(home) as client:
        assert "return_count_90d" not in ask()[0]
        told = {"type": "track", "userId": who, "properties": {"order_id": "new", "total": 3, "currency": "EUR"}}
        batch = [told | {"messageId": event, "event": event} for event in ("Order Completed", "Order Refunded")]
        assert client.post("/v1/events", json={"batch": batch}).json()["accepted"] == 2
        shutil.copy(home.online_store, tmp_path / "before.db")
        drain(open_event_log(home), Lake(home.lake), shop.UNTIL + TICK)
        build_snapshots(Lake(home.lake))
        materialize(apply_definitions(home), home, as_of=shop.UNTIL)
        assert [features["return_count_90d"] for features in ask()] == [0, 0]
        with closing(sqlite3.connect(home.online_store)) as now:  # half way: one customer's vector is not written yet
            now.execute("ATTACH ? AS before", [str(tmp_path / "before.db")])
            key = "SELECT entity_key FROM regulars_customer_vector ORDER BY entity_key LIMIT 1"
            value = "SELECT value FROM before.regulars_customer_vector AS b WHERE b.entity_key = o.entity_key"
            now.execute(f"UPDATE regulars_customer_vector AS o SET value = ({value}) WHERE entity_key != ({key})")  # noqa: S608
            now.commit()
        assert None in [features["return_count_90d"] for features in ask()]


def test_between_a_build_with_more_features_and_its_materialize_the_earlier_list_answers(
    workshop: Home, enthrone: Enthrone, serve: Serve, tmp_path: Path
) -> None:
    enthrone("churn")
    home = Home(shutil.copytree(workshop.folder, tmp_path / "home"))
    materialize(open_registered(home), home, as_of=shop.UNTIL)
    log = open_event_log(home)
    told = {"type": "track", "userId": shop.REGULAR_IDS[0], "properties": {"order_id": "new", "total": 3}}
    batch = [told | {"messageId": event, "event": event} for event in ("Order Completed", "Order Refunded")]
    log.append(read_batch(batch, received_at=shop.UNTIL, currency="EUR").messages, received_at=shop.UNTIL)
    drain(log, Lake(home.lake), shop.UNTIL + TICK)
    build_snapshots(Lake(home.lake))
    apply_definitions(home)
    body = {"customer_ids": [shop.REGULAR_IDS[1]], "features": True}
    with serve(home) as client:  # started before the new vectors are there
        assert client.get("/readyz").status_code == 200
        before = client.post("/v1/score", json=body).json()["results"][0]
        assert (before["status"], before["features"]["return_count_90d"]) == ("ok", None)
        materialize(open_registered(home), home, as_of=shop.UNTIL)
        after = client.post("/v1/score", json=body).json()["results"][0]
        assert (after["status"], after["features"]["return_count_90d"]) == ("ok", 0)


class TestStore:
    """What the store holds is not what the models were trained on, or cannot be read."""

    @pytest.fixture
    def store(self, workshop: Home, enthrone: Enthrone, tmp_path: Path) -> Home:
        """The workshop with a champion, and an online store that may be broken: it is put back."""
        enthrone("churn")
        copy(workshop.online_store, tmp_path / "kept.db")
        yield workshop
        copy(tmp_path / "kept.db", workshop.online_store)

    def test_vectors_of_another_list_are_never_scored(self, store: Home, serve: Serve) -> None:
        self._put(store, lambda vector: b"0123456789ab" + vector[HASH_LENGTH:])
        with serve(store) as client:
            response = client.post("/v1/score", json={"customer_ids": [shop.REGULAR_IDS[0]]})
        assert response.status_code == 503
        assert "the online store holds vectors of feature list 0123456789ab, the registry has " in response.text
        assert response.headers["X-Request-ID"] == response.json()["request_id"]

    def test_vectors_that_are_known_not_to_be_read_are_not_ready(self, store: Home, serve: Serve) -> None:
        note = store.folder / ONLINE_NOTE
        kept = note.read_text()
        with serve(store) as client:
            assert client.get("/readyz").status_code == 200
            note.write_text(json.dumps(json.loads(kept) | {"feature_list": "0123456789ab"}))
            assert client.get("/readyz").status_code == 503
            with pytest.raises(OtherVectors), closing(open_event_log(store)) as log:
                open_online(store, log, {}, at=shop.UNTIL)
            note.write_text(kept)
            assert client.get("/readyz").status_code == 200

    @pytest.mark.parametrize(
        ("keep", "said"), [(HASH_LENGTH + 4, "a vector of 1 features"), (HASH_LENGTH + 5, "a vector that is none")]
    )
    def test_a_cut_vector_names_the_store(self, store: Home, keep: int, said: str) -> None:
        self._put(store, lambda vector: vector[:keep])
        with pytest.raises(DamagedFile, match=f"{store.online_store}: {said}"):
            OnlineFeatures.open(store, open_event_log(store)).read([shop.REGULAR_IDS[0]], at=shop.UNTIL)

    def _put(self, store: Home, change: Callable[[bytes], bytes]) -> None:
        """Change every vector of the online store."""
        from feast.protos.feast.types.Value_pb2 import Value

        def changed(value: bytes) -> bytes:
            return Value(bytes_val=change(Value.FromString(value).bytes_val)).SerializeToString()

        with closing(sqlite3.connect(store.online_store)) as connection:
            connection.create_function("changed", 1, changed)
            connection.execute("UPDATE regulars_customer_vector SET value = changed(value)")
            connection.commit()

    def test_a_store_without_its_table_is_not_ready(self, store: Home, serve: Serve) -> None:
        with serve(store) as client:
            assert client.get("/readyz").status_code == 200
            with closing(sqlite3.connect(store.online_store)) as connection:
                connection.execute("DROP TABLE regulars_customer_vector")
                connection.commit()
            assert client.get("/readyz").status_code == 503
            response = client.post("/v1/score", json={"customer_ids": ["1"]})
            shown = described(client.get("/docs.json").json(), response)
        assert response.status_code == 503
        reason = response.json()["error"]["reason"]
        assert reason == shown["error"]["reason"].replace(".regulars/online.db", str(store.online_store))

    @pytest.mark.parametrize("place", [0, -1], ids=["oldest", "last"])
    @pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:100])])
    def test_a_damaged_snapshot_is_named_and_the_store_stays(
        self, store: Home, tmp_path: Path, place: int, damage: Callable[[Path], object]
    ) -> None:
        home = Home(shutil.copytree(store.folder, tmp_path / "home"))
        materialize(apply_definitions(home), home, as_of=shop.CUTOFFS[0])
        damaged = sorted(Lake(home.lake).path(VECTORS).glob("*.parquet"))[place]
        damage(damaged)
        with pytest.raises(DamagedFile, match=rf"{damaged}: .*; run `regulars features build` again"):
            materialize(apply_definitions(home), home, as_of=shop.UNTIL)
        assert materialized_cutoff(home) == shop.CUTOFFS[0]

    def test_a_store_that_was_never_materialized(self, store: Home) -> None:
        store.online_store.unlink()
        with pytest.raises(NotYet, match=r"no online store at .* yet; run `regulars materialize`"):
            OnlineFeatures.open(store, open_event_log(store))
        assert not store.online_store.exists()
