"""What several commands share: one step of the work each, with its bar and its summary."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from cli import show
from cli.options import command
from cli.recommend import write_night
from facts.errors import GateFailed, NotYet, counted
from facts.home import Home
from facts.lake import Lake

if TYPE_CHECKING:
    from facts.ingest.delivery import Delivery
    from facts.merge import Mode
    from features.build import Built
    from training.means import Means
    from training.registering import Trained


def ingest(home: Home, delivery: Delivery, *, mode: Mode, limit: float) -> None:
    """Check a delivery and merge it into the lake."""
    from facts.ingest import ingest as ingest_delivery

    with show.working("Ingest") as step:
        step("checking every row")
        done = ingest_delivery(delivery, Lake(home.lake), mode=mode, limit=limit)
    show.ingested(done)


def ingest_source(home: Home, source: str) -> None:
    """Read a source that is known by name, whole, into the lake."""
    from facts.ingest import LARGEST_QUARANTINED_RATE, read_source

    with show.working("Ingest") as step:
        step(f"reading {source}")
        delivery = read_source(source)
    ingest(home, delivery, mode="replace", limit=LARGEST_QUARANTINED_RATE)


def simulate(**asked: Any) -> None:  # noqa: ANN401 - passed on
    """Write a simulated shop."""
    from simulation.run import simulate

    with show.working("Simulate") as step:
        done = simulate(on_step=lambda chunk, of: step("customers", chunk, of), **asked)
    show.table(f"Simulated shop in {done.folder}", ["table", "rows"], list(done.rows.items()), right=["rows"])


def drain(home: Home) -> None:
    """Bring the events that wait in the log into the lake."""
    from facts.drain import drain
    from facts.event_log import KEPT_DAYS, event_log_from_environment
    from facts.ingest import now

    lake = Lake(home.lake)
    shop, log = lake.shop(), event_log_from_environment(home)
    try:
        with show.working("Events into the lake"):
            done = drain(log, lake, now(shop))
            if shop.clock == "wall":
                log.prune(now(shop) - timedelta(days=KEPT_DAYS))
    finally:
        log.close()
    if done.events:
        orders = f"{done.new_orders:,} new orders, {done.corrected_orders:,} corrected"
        orders += f", {done.set_aside:,} of other customers set aside: `regulars quarantine`" if done.set_aside else ""
        show.console.print(f"{done.events:,} events into the lake: {orders}", highlight=False)


def build_features(home: Home, *, step_days: int | None = None, engine: str = "duckdb") -> Built:
    """Compute the snapshots and register the definitions with Feast."""
    from features.build import build_snapshots
    from features.store import apply_definitions

    lake = Lake(home.lake)
    drain(home)
    with show.working("Features") as step:
        built = build_snapshots(lake, step_days=step_days, engine=engine, on_step=step)
        step("feast apply")
        store = apply_definitions(home)
        views = sorted(view.name for view in store.list_feature_views())
        services = sorted(service.name for service in store.list_feature_services())
    show.built(built, zone=lake.shop().timezone)
    show.console.print(f"Feast views: {', '.join(views)}", highlight=False)
    show.console.print(f"Feast services: {', '.join(services)}", highlight=False)
    return built


def chosen_tasks(names: Sequence[str]) -> list[str]:
    """Return the tasks that a command names, each once; raise UnknownName where one is none."""
    from training.tasks import TASKS, task

    return list(TASKS) if list(names) == ["all"] else [task(name).name for name in dict.fromkeys(names)]


def train(  # noqa: PLR0913 - an argument is an option
    home: Home,
    names: list[str],
    *,
    horizon_days: int | None = None,
    trials: int,
    timeout_seconds: float,
    seed: int,
    rows: int | None = None,
    means: Means | None = None,
    is_forced: bool = False,
) -> list[Trained]:
    """Train some tasks, each on its own, and print what was measured of each and which is not answered.

    Raises
    ------
    NothingTrained
        Every task failed a gate.
    """
    from features.store import apply_definitions
    from scoring.registry import champion_version
    from training import pipeline
    from training.known import Known
    from training.means import Means, require_means
    from training.plan import NothingTrained, Unanswered
    from training.plan import plan as plan_training
    from training.sample import LARGEST_ROWS
    from training.trials import Budget

    means = means or Means()
    require_means(means)
    budget = Budget(trials=trials, timeout_seconds=timeout_seconds)
    lake, chosen = Lake(home.lake), chosen_tasks(names)
    plans = plan_training(lake, chosen, horizon_days=horizon_days, budget=budget, seed=seed, rows=rows or LARGEST_ROWS)
    show.silences(plans.silences)
    trained, unanswered = [], list(plans.unanswered)
    known = Known(apply_definitions(home), lake)
    for plan in plans.ready:
        try:
            with show.working(f"Train {plan.task.name}, next {plan.horizon.days} days") as step:
                done = pipeline.train(
                    plan, home, known, means=means, on_step=step, is_forced=is_forced, asked_by=command()
                )
        except GateFailed as failed:
            unanswered.append(Unanswered(task=plan.task.name, why=failed))
            continue
        if not done.was_trained:
            show.console.print(f"regulars-{done.task}/{done.version} stands: same data, settings and seed")
        show.measured(done.report, version=done.version, zone=lake.shop().timezone)
        trained.append(done)
    show.answered(chosen, trained, unanswered, {name: champion_version(home, name) for name in chosen})
    if not trained:
        raise NothingTrained(unanswered)
    return trained


def materialize(home: Home, *, as_of: datetime | None = None, with_named_views: bool = False) -> datetime:
    """Bring the last snapshot at or before an instant into the online store."""
    from features.materialize import SERVED_VIEW, materialize
    from features.snapshots import last_cutoff
    from features.store import open_registered
    from serving.clock import Clock

    lake = Lake(home.lake)
    at = Clock.of(lake.shop(), as_of=as_of).now()
    last_cutoff(lake, as_of=at)  # opening the store makes its files, which is too early where there is no snapshot
    with show.working("Materialize"):
        store = open_registered(home)
        views = [view.name for view in store.list_feature_views()] if with_named_views else [SERVED_VIEW]
        cutoff = materialize(store, home, as_of=at, views=views)
    write_night(home, cutoff)
    rows = [(view, f"{cutoff:%Y-%m-%d %H:%M} UTC") for view in views]
    show.table("Online store", ["view", "features as of"], rows)
    return cutoff


def score(home: Home, *, as_of: datetime | None, output: Path, engine: str = "duckdb") -> None:
    """Score every customer as of an instant into a file."""
    from features.engines import require_engine
    from features.store import TTL
    from scoring.batch import require_output, score_lake
    from scoring.on_spark import champion_files, score_on_spark
    from serving.champions import read_champions
    from serving.clock import Clock

    require_output(output)
    require_engine(engine)
    lake = Lake(home.lake)
    at = Clock.of(lake.shop(), as_of=as_of).now()
    with show.working("Score") as step:
        step("champions")
        try:
            models = read_champions(home)
        except NotYet:
            _say_refused(home)
            raise
        step("customers")
        if engine == "spark":
            statuses = score_on_spark(lake, champion_files(home, models), output, as_of=at, ttl=TTL)
        else:
            statuses = score_lake(
                lake, models, output, as_of=at, ttl=TTL, on_chunk=lambda scored: step(f"{scored:,} customers")
            )
    show.table(
        f"{statuses.total():,} customers as of {at:%Y-%m-%d %H:%M} UTC -> {output}",
        ["status", "customers"],
        statuses.most_common(),
        right=["customers"],
    )


def _say_refused(home: Home) -> None:
    """Raise NotYet where there are versions and the gate refused them all: to train again would not help."""
    from training.pipeline import read_versions
    from training.tasks import TASKS

    refused = [v for v in read_versions(home) if v.task in TASKS] if home.has_tracking else []
    if refused:
        were = f"{counted(len(refused), 'version')} {'was' if len(refused) == 1 else 'were'} refused"
        raise NotYet(
            "champion of any task", advice=f"{were} by the gate: `regulars status` lists them, `regulars ui` says why"
        )


def serve_ui(home: Home, *, port: int) -> NoReturn:
    """Become MLflow's server: two processes, its job runner off (it would start eight more)."""
    from training.tracking import tracked

    with tracked(home):  # the server would make the tables too, but in place, where a stop leaves them broken
        show.console.print(f"MLflow at http://127.0.0.1:{port} (Ctrl-C stops)", highlight=False)
    command = [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", home.tracking_uri,
        "--default-artifact-root", home.artifacts.as_uri(), "--workers", "1",
        "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    os.execve(command[0], command, os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"})  # noqa: S606
