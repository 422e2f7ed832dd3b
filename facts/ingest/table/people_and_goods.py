"""Customers and products, as the rows tell of them: of what changes in time, the last row says it."""

from __future__ import annotations

import ibis
from ibis import _
from ibis.expr.types import StringValue, Table, Value

from facts.contracts import CUSTOMERS, EVENTS, PRODUCTS
from facts.ingest.table.mapping import Mapping

OF_PRODUCT = {
    "name": "product_name", "category": "category", "department": "department", "brand": "brand",
    "is_private_label": "is_private_label", "size": "size",
}  # fmt: skip


def build_customers(rows: Table, mapping: Mapping) -> Table:
    """Return one row per customer, the columns named under [traits] as a JSON object of texts."""
    known = rows.filter(_.customer_id.notnull())
    traits = [f"trait_{i}" for i in range(len(mapping.traits))]
    told = known.group_by("customer_id").agg(
        **{name: last_given(known[name], known.place) for name in traits},
        source_line=last_given(known.source_line, known.place),
    )
    pairs = [_pair(label, told[name]) for label, name in zip(mapping.traits, traits, strict=True)]
    inside = ibis.literal(", ").join(pairs) if pairs else ibis.literal("")
    people = told.select("customer_id", "source_line", traits=ibis.literal("{") + inside + "}")
    return people.cast(dict(CUSTOMERS.columns))


def build_products(rows: Table, mapping: Mapping) -> Table:
    """Return one row per product; none where the file has no products."""
    if "product_id" not in mapping.columns.told:
        return _empty(PRODUCTS.schema)
    sold = rows.filter(_.product_id.notnull())
    told = {name: last_given(sold[column], sold.place) for name, column in OF_PRODUCT.items()}
    place = last_given(sold.source_line, sold.place)
    products = sold.group_by("product_id").agg(**told, source_line=place)
    return products.select([*PRODUCTS.columns, "source_line"]).cast(dict(PRODUCTS.columns))


def build_events() -> Table:
    """Return no events: a file of orders has none."""
    return _empty(EVENTS.schema)


def last_given(value: Value, place: Value) -> Value:
    """Return the last value of a group, by place, that is not null."""
    kind = value.type()
    last = ibis.udf.agg.builtin(_arg_max, name="arg_max", signature=((kind, "int64"), kind))
    return last(value, place)


def _arg_max(value, place): ...  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202


def _empty(schema: ibis.Schema) -> Table:
    return ibis.memtable(schema.to_pyarrow().empty_table())


def _pair(label: str, text: StringValue) -> StringValue:
    return ibis.literal(_quoted(label) + ": ") + _to_json(text)


def _quoted(label: str) -> str:
    import json

    return json.dumps(label, ensure_ascii=False)


@ibis.udf.scalar.builtin(name="to_json", signature=(("string",), "string"))
def _to_json(text): ...  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
