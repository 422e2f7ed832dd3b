"""A delivered table held against its contract: every row is kept, flagged, or set aside with the rule that it broke."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ibis
from ibis import _
from ibis.expr.types import Table

from facts.contracts import SOURCE_LINE, UNREADABLE, UNREADABLE_RULE, Contract, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A table after its contract: the rows that hold, those set aside, and what broke how often."""

    rows: Table
    quarantined: Table
    received_count: int
    breaches: Mapping[tuple[str, str], int]  # (rule, quarantine | flag) -> rows

    def first_breach(self, *, but: Sequence[str] = ()) -> str:
        """Return, as a sentence, the first row that was set aside, but for some rules; empty where there is none."""
        place = _[SOURCE_LINE]  # "orders.csv:9" stands before "orders.csv:10"
        rows = self.quarantined.filter(~_.rule.isin(list(but))) if but else self.quarantined
        found = rows.order_by(place.length(), place, "row").limit(1).to_pyarrow().to_pylist()
        if not found:
            return ""
        (row,) = found
        said, content = told_of(row["row"])
        reason = said or f'it breaks the rule "{row["rule"]}": {content}'
        return f"{row[SOURCE_LINE]}: {reason}" if row[SOURCE_LINE] else reason


def told_of(row: str) -> tuple[str, str]:
    """Return what could not be read of a row that was set aside (empty where all could), and the values it has."""
    told = json.loads(row)
    said = told.pop(UNREADABLE, None) or ""
    content = ", ".join(f"{name} {value}" for name, value in told.items() if value is not None)
    return said, content.replace("\0", "\\0")


def check(contract: Contract, rows: Table, others: Mapping[str, Table], connection: ibis.BaseBackend) -> Checked:
    """Check every row of one table.

    Parameters
    ----------
    contract
        What is asked of it; a repeated key breaks its last rule, the first of the rows stays.
    rows
        The table as the source gave it, in the contract's columns and perhaps `also`, `source_line` and what is
        unreadable.
    others
        The checked tables before it, by name.
    connection
        The engine that does the work.
    """
    columns = list(contract.columns)
    told = [*columns, UNREADABLE] if UNREADABLE in rows.columns else columns
    judged = _with_first_breach(contract, _with_places(rows), others)
    judged = connection.create_table(f"checked_{contract.name}", judged, temp=True)
    verdict = _with_repeats(contract, judged, connection)
    quarantined = verdict.filter(_.broken.notnull()).select(
        table_name=ibis.literal(contract.name),
        rule=_.broken,
        source_line=_[SOURCE_LINE],
        row=ibis.struct({name: verdict[name].cast("string") for name in told}).cast("json").cast("string"),
    )
    return Checked(
        rows=verdict.filter(_.broken.isnull())
        .select(*columns, *(name for name in contract.also if name in rows.columns))
        .cast(dict(contract.columns)),
        quarantined=quarantined,
        received_count=int(judged.count().execute()),
        breaches=_count_breaches(contract, verdict),
    )


def _with_places(rows: Table) -> Table:
    absent = [name for name in (SOURCE_LINE, UNREADABLE, UNREADABLE_RULE) if name not in rows.columns]
    return rows.mutate(**{name: ibis.null("string") for name in absent}) if absent else rows


def _with_first_breach(contract: Contract, rows: Table, others: Mapping[str, Table]) -> Table:
    flags = [rule for rule in contract.rules if rule.breach == "flag"]
    hard = [rule for rule in contract.rules if rule.breach == "quarantine"]
    return rows.mutate(
        broken=ibis.coalesce(rows[UNREADABLE_RULE], *[_named_breach(rule, rows, others) for rule in hard]),
        **{f"flag_{i}": ~rule.holds(rows, others).fill_null(False) for i, rule in enumerate(flags)},  # noqa: FBT003
    )


def _with_repeats(contract: Contract, judged: Table, connection: ibis.BaseBackend) -> Table:
    """Set aside all but the first of the rows that share a key; one that breaks another rule takes no key."""
    keys = judged.filter(_.broken.isnull()).group_by(contract.key).agg(row_count=_.count())
    repeated = keys.filter(_.row_count > 1).select(contract.key)
    repeated = connection.create_table(f"repeated_{contract.name}", repeated, temp=True)
    if not int(repeated.count().execute()):
        return judged
    peers, columns = [*contract.key, judged.broken.isnull()], [*contract.columns, SOURCE_LINE]
    nth = ibis.row_number().over(group_by=peers, order_by=columns)
    duplicate = ibis.ifelse(nth > 0, f"{' and '.join(contract.key)} not repeated", None)
    told = judged.semi_join(repeated, contract.key).mutate(broken=ibis.coalesce(judged.broken, duplicate))
    return judged.anti_join(repeated, contract.key).union(told)


def _named_breach(rule: Rule, rows: Table, others: Mapping[str, Table]) -> ibis.Value:
    holds = rule.holds(rows, others).fill_null(False)  # noqa: FBT003 - what cannot be decided does not hold
    return ibis.ifelse(holds, ibis.null("string"), rule.name)


def _count_breaches(contract: Contract, verdict: Table) -> dict[tuple[str, str], int]:
    hard = verdict.filter(_.broken.notnull()).group_by("broken").agg(rows=_.count()).order_by("broken").execute()
    counts = {(str(rule), "quarantine"): int(rows) for rule, rows in hard.itertuples(index=False)}
    flags = [rule for rule in contract.rules if rule.breach == "flag"]
    for i, rule in enumerate(flags):
        found = int(verdict.filter(_.broken.isnull() & verdict[f"flag_{i}"]).count().execute())
        counts |= {(rule.name, "flag"): found} if found else {}
    return counts
