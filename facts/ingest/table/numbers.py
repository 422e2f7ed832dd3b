"""Numbers as a shop writes them: what is not written as the mapping says is no number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

import ibis
from ibis.expr.types import BooleanScalar, StringValue, Value

from facts.contracts import MONEY
from facts.ingest.table.mapping import NumbersPart

CURRENCY = r"(?:[A-Z]{3}|[A-Z]{0,2}[$€£¥₹₽₺₴₩₪₫฿₦]|kr\.?|zł|Kč|Fr\.)"
BEFORE, AFTER = rf"^([-+(]?)\s*{CURRENCY}\s*", rf"\s*{CURRENCY}([-)]?)$"
VARIANTS, PLAIN_VARIANTS = "\u00a0\u202f\u2009\u2019\u2212", "   '-"  # of a space, of an apostrophe, of a minus sign


@dataclass(frozen=True, slots=True, kw_only=True)
class Notation:
    """How numbers are written: the decimal sign, and the sign between groups of three digits (empty: none)."""

    decimal: str
    thousands: str

    @classmethod
    def of(cls, told: NumbersPart) -> Notation:
        """Return the notation that a mapping says."""
        return cls(decimal=told.decimal, thousands=told.thousands or "")

    @property
    def plain(self) -> str:
        """Return the pattern of a number as programs write it, which reads fastest."""
        exponent = r"([eE][+-]?\d+)?" if self.decimal == "." else ""
        return rf"^-?\d+({re.escape(self.decimal)}\d+)?{exponent}$"

    @property
    def pattern(self) -> str:
        """Return the pattern of a number, signed before or after it, or in the parentheses of a bookkeeper."""
        mark, point = re.escape(self.thousands), re.escape(self.decimal)
        grouped = rf"\d{{1,3}}(?:{mark}\d{{3}})+|" if self.thousands else ""
        number = rf"(?:(?:{grouped}\d+)(?:{point}\d*)?|{point}\d+)"
        return rf"^(?:[-+]?\s?{number}|{number}\s?-|\(\s?{number}\s?\))$"

    @property
    def three_digits(self) -> str:
        """Return the pattern of a fraction that might as well be a thousand: 1.234."""
        return rf"^\D*[1-9]\d{{0,2}}{re.escape(self.decimal)}\d{{3}}\D*$"

    def __str__(self) -> str:
        groups = f" and {self.thousands!r} between thousands" if self.thousands else ""
        return f"a number with the decimal sign {self.decimal!r}{groups}"


def read_number(text: StringValue, notation: Notation) -> Value:
    """Return the decimal that a text stands for in a notation; null where it stands for none."""
    plain = text if notation.decimal == "." else text.replace(notation.decimal, ".")
    return ibis.ifelse(text.re_search(notation.plain), plain.try_cast(MONEY), _read_written(text, notation))


def is_number(text: str, notation: Notation) -> bool:
    """Return whether a text stands for a number in a notation, as `read_number` does."""
    return bool(re.search(notation.pattern, _bare(text)) or re.search(notation.plain, text))


def value_of(text: str, notation: Notation) -> Decimal | None:
    """Return the decimal that a text stands for in a notation, as `read_number` does but for its four places."""
    if not is_number(text, notation):
        return None
    if re.search(notation.plain, text):
        return Decimal(text.replace(notation.decimal, "."))
    bare = _bare(text)
    number = Decimal(re.sub(rf"[^0-9{re.escape(notation.decimal)}]", "", bare).replace(notation.decimal, "."))
    return -number if re.search(r"[-(]", bare) else number


def might_be_thousands(text: StringValue, notation: Notation) -> BooleanScalar:
    """Return whether every fraction has three digits, so that 1.234 may be a thousand or little over one."""
    is_fraction = text.contains(notation.decimal)
    return is_fraction.any() & (~is_fraction | text.re_search(notation.three_digits)).all()


def _bare(text: str) -> str:
    plain = text.translate(str.maketrans(VARIANTS, PLAIN_VARIANTS)).strip()
    return re.sub(AFTER, r"\1", re.sub(BEFORE, r"\1", plain))


def _read_written(text: StringValue, notation: Notation) -> Value:
    bare = text.translate(VARIANTS, PLAIN_VARIANTS).strip()
    bare = bare.re_replace(BEFORE, r"\1").re_replace(AFTER, r"\1")
    digits = bare.re_replace(rf"[^0-9{re.escape(notation.decimal)}]", "").replace(notation.decimal, ".")
    number = digits.try_cast(MONEY)
    signed = ibis.ifelse(bare.re_search(r"[-(]"), -number, number)
    return ibis.ifelse(bare.re_search(notation.pattern), signed, None)
