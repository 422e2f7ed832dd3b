"""What a mapping may say: where in a shop's file the facts stand, and how its times and numbers are written."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

Kind = Literal["sale", "return", "cancelled"]
Format = Literal["csv", "parquet", "excel"]
WHITESPACE = "whitespace"
ISO, UNIX, UNIX_MS = "iso", "unix", "unix_ms"


class Part(BaseModel):
    """A table of the mapping: no key but the named ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(Part):
    """Where a fact stands: in one column, in the first of several that is filled, in several joined, or in none."""

    names: tuple[str, ...] = ()
    constant: str | None = None
    is_joined: bool = False


def _as_column(told: object) -> object:
    match told:
        case str():
            return {"names": (told,)}
        case [*names] if names and all(isinstance(name, str) for name in names):
            return {"names": tuple(names)}
        case {"join": [*names], **rest} if names and not rest:
            return {"names": tuple(names), "is_joined": True}
        case {"constant": str() | int() | float() as constant, **rest} if not rest:
            return {"constant": str(constant)}
        case Column():
            return told
    raise ValueError('a column is "Name", ["First", "Else"], { join = ["Date", "Time"] } or { constant = "..." }')


Source = Annotated[Column, BeforeValidator(_as_column)]


class ShopPart(Part):
    """The shop: `observed_from` and `observed_until` are days on its clock, by default those of the orders."""

    name: str = Field(min_length=1)
    currency: str
    clock: Literal["wall", "standing"] = "wall"
    observed_from: date | None = None
    observed_until: date | None = None

    @field_validator("currency")
    @classmethod
    def _three_letters(cls, told: str) -> str:
        if not re.fullmatch("[A-Z]{3}", told):
            raise ValueError(f"{told!r} is no currency; write the three capital letters of ISO 4217, as EUR or USD")
        return told


class FilePart(Part):
    """The file: what a row of it is, and how it is written."""

    row: Literal["line", "order"]
    format: Format | None = None
    delimiter: str | None = None
    quote: str = Field(default='"', min_length=1, max_length=1)
    encoding: str = "utf-8"
    skip_lines: int = Field(default=0, ge=0)
    columns: tuple[str, ...] | None = None
    sheet: str | None = None
    missing: tuple[str, ...] = ("", "NULL", "null", "NaN", "nan", "N/A", "n/a", "#N/A")

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, told: str | None) -> str | None:
        if told is not None and told != WHITESPACE and len(told) != 1:
            raise ValueError(f'{told!r} is neither one character nor "{WHITESPACE}"')
        return told

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, told: str) -> str:
        try:
            "".encode(told)
        except LookupError:
            raise ValueError(f"there is no encoding {told!r}; utf-8, latin-1 and cp1252 are common") from None
        return told


class TimePart(Part):
    """Times: the shop's zone, and how they are written."""

    zone: str
    format: str | tuple[str, ...] = ISO
    earliest: date = date(1990, 1, 1)

    @property
    def formats(self) -> tuple[str, ...]:
        """Return the formats in the order in which they are tried."""
        return (self.format,) if isinstance(self.format, str) else self.format

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, told: str) -> str:
        if told not in available_timezones():
            raise ValueError(f"there is no time zone {told!r}; write it as Europe/Berlin or America/New_York")
        return told

    @field_validator("format")
    @classmethod
    def _known_format(cls, told: str | tuple[str, ...]) -> str | tuple[str, ...]:
        formats = (told,) if isinstance(told, str) else told
        bad = [form for form in formats if form not in {ISO, UNIX, UNIX_MS} and "%" not in form]
        if bad or not formats:
            raise ValueError(
                f'{bad[0] if bad else told!r} is neither "iso", "unix", "unix_ms" nor like "%d/%m/%Y %H:%M"'
            )
        return told


class NumbersPart(Part):
    """Numbers: the decimal sign, and the sign between thousands ("" for none).

    Where `thousands` is not said, a column whose numbers all look like 1.234 is refused: it may mean either.
    """

    decimal: Literal[".", ","] = "."
    thousands: Literal["", ".", ",", " ", "'"] | None = None

    @model_validator(mode="after")
    def _two_signs(self) -> NumbersPart:
        if self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}")
        return self


class ColumnsPart(Part):
    """Where each fact stands; only the customer, the time and an amount are needed."""

    customer_id: Source
    ordered_at: Source
    order_id: Source | None = None
    received_at: Source | None = None
    store_id: Source | None = None
    status: Source | None = None
    cancelled_at: Source | None = None
    currency: Source | None = None
    product_id: Source | None = None
    product_name: Source | None = None
    category: Source | None = None
    department: Source | None = None
    brand: Source | None = None
    is_private_label: Source | None = None
    size: Source | None = None
    unit_count: Source | None = None
    unit_price: Source | None = None
    gross_amount: Source | None = None
    discount_amount: Source | None = None
    net_amount: Source | None = None
    coupon_amount: Source | None = None
    refunded_amount: Source | None = None
    refunded_count: Source | None = None
    refunded_at: Source | None = None
    order_discount_amount: Source | None = None
    order_refunded_amount: Source | None = None

    @property
    def told(self) -> dict[str, Column]:
        """Return the facts that the file has, by name."""
        return {name: column for name in type(self).model_fields if (column := getattr(self, name)) is not None}

    @model_validator(mode="after")
    def _enough(self) -> ColumnsPart:
        told = self.told
        if not ({"net_amount", "gross_amount"} & told.keys() or {"unit_price", "unit_count"} <= told.keys()):
            raise ValueError("an amount is needed: net_amount, gross_amount, or unit_price with unit_count")
        pairs = {
            "product_name": "product_id", "category": "product_id", "department": "product_id", "brand": "product_id",
            "is_private_label": "product_id", "size": "product_id", "refunded_count": "refunded_amount",
        }  # fmt: skip
        for name, other in pairs.items():
            if name in told and other not in told:
                raise ValueError(f"{name} is given and {other} is not")
        if {"refunded_amount", "order_refunded_amount"} <= told.keys():
            raise ValueError("refunded_amount (of a line) and order_refunded_amount (of an order): one of the two")
        return self


class KindsPart(Part):
    """What is a return or a cancelled order: by the start of the order id, by a status, by negative amounts."""

    prefix: dict[str, Kind] = {}
    status: dict[str, Kind] = {}
    other_status: Kind | None = None
    negative: Literal["return", "refuse"] = "return"
    refund_after_days: int | None = Field(default=None, ge=0)


class CustomersPart(Part):
    """Customers: what becomes of orders without one, and whether ids differ by upper and lower case."""

    missing: Literal["refuse", "set_aside"] = "refuse"
    fold_case: bool = False


class Mapping(Part):
    """How to read a shop's files."""

    shop: ShopPart
    file: FilePart
    time: TimePart
    columns: ColumnsPart
    numbers: NumbersPart = NumbersPart()
    kinds: KindsPart = KindsPart()
    customers: CustomersPart = CustomersPart()
    traits: dict[str, Source] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the file's columns that are read, each once."""
        told = [*self.columns.told.values(), *self.traits.values()]
        return tuple(dict.fromkeys(name for column in told for name in column.names))

    @model_validator(mode="after")
    def _fits(self) -> Mapping:
        told = self.columns.told
        if "status" in told and not (self.kinds.status or self.kinds.other_status):
            raise ValueError(
                'columns.status is given: say under [kinds] what its values mean, status = { paid = "sale" }'
            )
        if self.kinds.status and "status" not in told:
            raise ValueError("kinds.status is given and columns.status is not")
        if self.kinds.prefix and "order_id" not in told:
            raise ValueError("kinds.prefix is given and columns.order_id is not")
        refunds = {"refunded_amount", "order_refunded_amount"} & told.keys()
        if refunds and "refunded_at" not in told and self.kinds.refund_after_days is None:
            raise ValueError(
                f"{min(refunds)} is given and not when: name columns.refunded_at or assume kinds.refund_after_days = 14"
            )
        if self.file.row == "order" and (per_order := {"order_discount_amount", "order_refunded_amount"} & told.keys()):
            name = min(per_order)
            raise ValueError(f"{name} is for files of one line a row; here it is {name.removeprefix('order_')}")
        return self


def keys_of(path: tuple[Any, ...]) -> tuple[str, ...]:
    """Return the keys that may stand where an unknown one was found."""
    model: Any = Mapping
    for step in path[:-1]:
        field = model.model_fields.get(step) if isinstance(model, type) and issubclass(model, BaseModel) else None
        model = field.annotation if field is not None else None
    return tuple(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else ()
