"""One file's columns as facts: each with its text, its value, and what is wrong where the text has no value."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import ibis
from ibis.expr.types import BooleanValue, StringValue, Table, Value

from facts.contracts import INSTANT, MONEY
from facts.ingest.table.mapping import ISO, UNIX, UNIX_MS, Column, Mapping
from facts.ingest.table.numbers import Notation, read_number
from facts.ingest.table.staging import LINE, RAGGED
from facts.ingest.table.times import WALL, instant_of, read_instant, read_wall, tells_hours

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

    from facts.ingest.table.staging import Staged

NUMBERS = (
    "unit_count", "unit_price", "gross_amount", "discount_amount", "net_amount", "coupon_amount",
    "refunded_amount", "refunded_count", "order_discount_amount", "order_refunded_amount",
)  # fmt: skip
TIMES = ("ordered_at", "received_at", "cancelled_at", "refunded_at")
FAR = timedelta(days=1)  # clocks differ, and a day's orders may stand at its end
SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """One file: a table with the columns `text_<fact>` and, for numbers and times, `value_<fact>` and `bad_<fact>`.

    Beside them stand `outside_<fact>` (of times: too early or too late to be one), `line`, `ragged`, `has_hours` (of
    ordered_at) and `trait_<i>`.
    """

    staged: Staged
    mapping: Mapping
    table: Table

    def text(self, fact: str) -> Value:
        """Return a fact as it is written; null where it is not given."""
        return self.table[f"text_{fact}"] if f"text_{fact}" in self.table.columns else ibis.null("string")

    def value(self, fact: str) -> Value:
        """Return the value of a number or a time; null where it is not given or is none."""
        kind = MONEY if fact in NUMBERS else INSTANT
        return self.table[f"value_{fact}"] if f"value_{fact}" in self.table.columns else ibis.null(kind)

    def problem(self, fact: str) -> Value:
        """Return what is wrong with a number or a time, as a sentence; null where nothing is."""
        return self.table[f"bad_{fact}"] if f"bad_{fact}" in self.table.columns else ibis.null("string")

    def is_outside(self, fact: str) -> Value:
        """Return whether a time is one that cannot be: before the mapping's earliest day, or after the delivery."""
        return self.table[f"outside_{fact}"] if f"outside_{fact}" in self.table.columns else ibis.literal(False)  # noqa: FBT003

    def has(self, fact: str) -> bool:
        """Return whether the mapping says where a fact stands."""
        return fact in self.mapping.columns.told


def parse(staged: Staged, mapping: Mapping, connection: Backend, *, at: datetime) -> Parsed:
    """Read every fact of one file; `at` is when the file was delivered, and no order can be later.

    Each step is a view of the engine, so that what a step made is not made again wherever the next one uses it.
    """
    table, told, names = staged.open(connection), mapping.columns.told, staged.names()
    texts = {f"text_{fact}": _text(table, column, staged, mapping) for fact, column in told.items()}
    texts |= {f"trait_{i}": _text(table, c, staged, mapping) for i, c in enumerate(mapping.traits.values())}
    raw = {f"raw_{fact}": raw for fact in told if (raw := _typed(table, told[fact], names)) is not None}
    step = _step(connection, table.select(**texts, **raw, **{LINE: table[LINE], RAGGED: table[RAGGED]}))
    formats = mapping.time.formats + ((ISO,) if staged.has_cells else ())
    times = [fact for fact in told if fact in TIMES]
    step = _step(connection, step.mutate(**{f"wall_{fact}": _wall(step, fact, formats) for fact in times}))
    values = {f"value_{fact}": _number(step, fact, mapping) for fact in told if fact in NUMBERS}
    values |= {f"value_{fact}": _instant(step, fact, formats, mapping) for fact in times}
    step = _step(connection, step.mutate(**values, has_hours=_has_hours(step, formats)))
    problems = {f"bad_{fact}": _number_problem(step, fact, told[fact], mapping) for fact in told if fact in NUMBERS}
    problems |= {f"bad_{fact}": _time_problem(step, fact, told[fact], mapping, at) for fact in times}
    problems |= {f"outside_{fact}": _is_outside(step, fact, mapping, at) for fact in times}
    step = _step(connection, step.mutate(**problems))
    inside = {f"value_{fact}": _unless_bad(step, fact) for fact in times}
    return Parsed(staged=staged, mapping=mapping, table=_step(connection, step.mutate(**inside)))


def is_text(table: Table, column: Column, names: Dict[str, str]) -> bool:
    """Return whether a fact is read as text, not taken as the file holds it."""
    return len(column.names) != 1 or table[names[column.names[0]]].type().is_string()


def shown(column: Column) -> str:
    """Return how messages name where a fact stands."""
    joint = " and " if column.is_joined else " or "
    return f"column {joint.join(map(repr, column.names))}" if column.names else f"constant {column.constant!r}"


def _step(connection: Backend, table: Table) -> Table:
    return connection.create_view(ibis.util.gen_name("step"), table)


def _text(table: Table, column: Column, staged: Staged, mapping: Mapping) -> StringValue:
    names = staged.names()
    if column.constant is not None:
        return ibis.literal(column.constant)
    parts = [_clean(table[names[name]], mapping.file.missing, is_clean=not staged.is_source) for name in column.names]
    if column.is_joined:
        joined = ibis.literal(" ").join(parts)
        return ibis.ifelse(ibis.coalesce(*parts).isnull(), ibis.null("string"), joined)
    return ibis.coalesce(*parts)


def _clean(value: Value, missing: tuple[str, ...], *, is_clean: bool) -> StringValue:
    if is_clean and value.type().is_string():
        return value
    if value.type().is_floating():
        whole = value.try_cast("int64")
        value = ibis.ifelse(whole.cast("float64") == value, whole.cast("string"), value.cast("string"))
    text = value.cast("string").strip()
    return ibis.ifelse(text.isin([*missing, ""]), ibis.null("string"), text)


def _typed(table: Table, column: Column, names: Dict[str, str]) -> Value | None:
    return None if is_text(table, column, names) else table[names[column.names[0]]]


def _raw(step: Table, fact: str) -> Value | None:
    return step[f"raw_{fact}"] if f"raw_{fact}" in step.columns else None


def _number(step: Table, fact: str, mapping: Mapping) -> Value:
    raw = _raw(step, fact)
    if raw is not None and raw.type().is_numeric():
        return raw.try_cast(MONEY)
    return read_number(step[f"text_{fact}"], Notation.of(mapping.numbers))


def _wall(step: Table, fact: str, formats: tuple[str, ...]) -> Value:
    raw = _raw(step, fact)
    if raw is None or not raw.type().is_temporal():
        return read_wall(step[f"text_{fact}"], formats)
    return ibis.null(WALL) if _is_instant(raw) else raw.cast(WALL)


def _instant(step: Table, fact: str, formats: tuple[str, ...], mapping: Mapping) -> Value:
    raw = _raw(step, fact)
    if raw is not None and _is_instant(raw):
        return raw.cast(INSTANT)
    told = read_instant(step[f"text_{fact}"], formats) if raw is None or not raw.type().is_temporal() else None
    return ibis.coalesce(instant_of(step[f"wall_{fact}"], mapping.time.zone), told)


def _has_hours(step: Table, formats: tuple[str, ...]) -> Value:
    raw = _raw(step, "ordered_at")
    if raw is None or not raw.type().is_temporal():
        return tells_hours(step["text_ordered_at"], formats)
    return ibis.literal(not raw.type().is_date())


def _is_instant(raw: Value) -> bool:
    return raw.type().is_timestamp() and raw.type().timezone is not None


def _number_problem(step: Table, fact: str, column: Column, mapping: Mapping) -> Value:
    text, notation = step[f"text_{fact}"], Notation.of(mapping.numbers)
    is_bad = text.notnull() & step[f"value_{fact}"].isnull()
    return ibis.ifelse(is_bad, _said(column, text, f"not {notation}"), ibis.null("string"))


def _time_problem(step: Table, fact: str, column: Column, mapping: Mapping, at: datetime) -> Value:
    text, instant = step[f"text_{fact}"], step[f"value_{fact}"]
    outside = f"not between time.earliest ({mapping.time.earliest}) and the delivery ({at:%Y-%m-%d})"
    return ibis.cases(
        (text.notnull() & instant.isnull(), _said(column, text, f"not {like(mapping.time.formats)}")),
        (instant > at + FAR, _said(column, text, f"after the delivery ({at:%Y-%m-%d})")),
        (_is_outside(step, fact, mapping, at), _said(column, text, outside)),
        else_=ibis.null("string"),
    )


def _is_outside(step: Table, fact: str, mapping: Mapping, at: datetime) -> BooleanValue:
    earliest = datetime.combine(mapping.time.earliest, datetime.min.time(), UTC)
    instant = step[f"value_{fact}"]
    return ((instant < earliest) | (instant > at + FAR)).fill_null(False)  # noqa: FBT003


def like(formats: tuple[str, ...]) -> str:
    """Return what a time looks like, in words."""
    words = {
        ISO: "a date like 2024-01-31 or 2024-01-31 13:05:00",
        UNIX: "seconds since 1970",
        UNIX_MS: "milliseconds since 1970",
    }
    return " or ".join(words.get(form, f"a date like {form}") for form in formats)


def _said(column: Column, text: StringValue, what: str) -> StringValue:
    return ibis.literal(f"{shown(column)} is '") + text.left(SHOWN_CHARACTERS) + ibis.literal(f"', {what}")


def _unless_bad(step: Table, fact: str) -> Value:
    return ibis.ifelse(step[f"bad_{fact}"].isnull(), step[f"value_{fact}"], ibis.null(INSTANT))
