"""A mapping to review, written from a look at a file: what is sure stands in it, what is not is left to a person."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facts.errors import counted
from facts.ingest.table.guess import notations, time_formats
from facts.ingest.table.loading import load_mapping, shipped_names, shipped_text
from facts.ingest.table.mapping import ISO
from facts.ingest.table.roles import NUMBERS, WORDS, Roles, find_roles
from facts.ingest.table.sample import Sample, read_sample

CURRENCY_SIGNS = {"€": "EUR", "£": "GBP", "₹": "INR", "₺": "TRY", "₽": "RUB", "₴": "UAH", "₪": "ILS", "zł": "PLN"}
STATUS_WORDS = {
    "cancelled": ("cancel", "void", "fail", "expired", "storniert", "annul", "pending payment", "draft"),
    "return": ("returned", "retour"),
    "sale": ("paid", "complete", "ship", "deliver", "process", "closed", "fulfil", "done", "bezahlt", "versendet"),
}
WITHOUT_IDS = (
    "without order ids, orders are told apart by customer and time: a file must hold whole days, as what a later file "
    "says of the same customer and time takes the place of what was known"
)
GROUPS = ("group", "gruppe", "grupo", "groupe")
MOST_STATUSES = 20
MOST_STARTS = 5
SURELY = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A mapping as TOML text, and what it leaves to decide, as sentences; the text says them too."""

    text: str
    undecided: tuple[str, ...]


def suggest(path: Path, *, sheet: str | None = None) -> Suggestion:
    """Look at the first rows of a file and write a mapping for it.

    Parameters
    ----------
    sheet
        Which one, of a workbook that has several.

    Raises
    ------
    BadFile
        It is empty, or cannot be read.
    """
    sample = read_sample(path, sheet=sheet)
    for name in shipped_names():
        if sample.has_header and set(_columns_of(name)) <= set(sample.names):
            return _shipped(name, sample)
    return _written(sample, find_roles(sample))


def _columns_of(name: str) -> Sequence[str]:
    return load_mapping(name, shop="any", currency="EUR", zone="UTC").names


def _shipped(name: str, sample: Sample) -> Suggestion:
    told = shipped_text(name)
    undecided = () if "[shop]" in told else (
        "shop.name and shop.currency: the name of the shop, and the currency of its amounts",
        "time.zone: the time zone of the shop's clock",
    )  # fmt: skip
    head = [f"# {sample.label} has the columns of {name}: its mapping, to review."]
    if "[shop]" not in told:
        head += ["", "[shop]", '# name = "..."', f'# currency = "EUR"{_seen_currencies(sample)}', ""]
        told = told.replace("[time]\n", '[time]\n# zone = "Europe/Berlin"\n', 1)
    return Suggestion(text="\n".join([*head, told]), undecided=undecided)


def _seen_currencies(sample: Sample) -> str:
    names = [name for name in sample.names if "currency" in name.lower()]
    seen = sorted(set(sample.texts(names[0]))) if names else []
    return f"   # seen: {', '.join(seen)}" if seen else ""


@dataclass(slots=True)
class _Draft:
    """Lines of TOML, gathered with what is undecided."""

    lines: list[str]
    undecided: list[str]

    def part(self, name: str) -> None:
        self.lines += ["", f"[{name}]"]

    def set(self, key: str, value: object, remark: str = "") -> None:
        self.lines.append(f"{_key(key)} = {_toml(value)}" + (f"   # {remark}" if remark else ""))

    def leave(self, key: str, example: object, why: str) -> None:
        """Leave a key to a person: it stands as a comment, with an example and the reason."""
        self.undecided.append(f"{key}: {why}")
        self.lines.append(f"# {_key(key.rsplit('.', maxsplit=1)[-1])} = {_toml(example)}   # undecided: {why}")

    def ask(self, key: str, why: str) -> None:
        """Ask about a key that stands, or cannot stand, in the mapping."""
        self.undecided.append(f"{key}: {why}")
        self.lines.append(f"# undecided: {why}")


def _written(sample: Sample, roles: Roles) -> Suggestion:
    draft = _Draft([], [])
    _shop(draft, sample, roles)
    _file(draft, sample, roles)
    _time(draft, sample, roles)
    _numbers(draft, sample, roles)
    _columns(draft, sample, roles)
    _kinds(draft, sample, roles)
    _customers(draft, sample, roles)
    size = (
        f"{counted(len(sample.rows), 'row')}, all there are"
        if sample.is_whole
        else f"its first {len(sample.rows):,} rows"
    )
    head = [
        f"# A mapping for {sample.label}, from a look at {size}. Review it: docs/ingest.md says what each key means."
    ]
    if draft.undecided:
        head += ["#", "# Left to you:", *(f"#   - {sentence}" for sentence in draft.undecided)]
    return Suggestion(text="\n".join([*head, *draft.lines]) + "\n", undecided=tuple(draft.undecided))


def _shop(draft: _Draft, sample: Sample, roles: Roles) -> None:
    draft.part("shop")
    draft.set("name", Path(sample.label).name.split(".")[0], "how the shop is called")
    seen = set(sample.texts(roles.columns["currency"])) if "currency" in roles.columns else set()
    signs = {code for fact in NUMBERS for text in _texts(sample, roles, fact) for sign, code in CURRENCY_SIGNS.items()
             if sign in text}  # fmt: skip
    codes = {text.upper() for text in seen if re.fullmatch("[A-Za-z]{3}", text)} or signs
    if len(codes) == 1:
        draft.set("currency", codes.pop())
    else:
        why = f"orders are in {', '.join(sorted(codes))}, one of them is the shop's" if codes else "no column tells it"
        draft.leave("shop.currency", min(codes, default="EUR"), why)


def _file(draft: _Draft, sample: Sample, roles: Roles) -> None:
    draft.part("file")
    ids = sample.texts(roles.columns["order_id"]) if "order_id" in roles.columns else []
    if not ids:
        draft.set("row", "order", "no column looks like an order id: each row is taken to be an order")
        draft.lines.append(f"# {WITHOUT_IDS}")
    elif len(set(ids)) < len(ids):
        draft.set("row", "line", "order ids repeat: a row is a line of an order")
    else:
        draft.set("row", "order", "no order id repeats: a row is an order")
    for key, value in sample.settings.items():
        draft.set(key, value)
    if not sample.has_header:
        draft.set("columns", list(sample.names), "there is no header: name the columns")


def _time(draft: _Draft, sample: Sample, roles: Roles) -> None:
    draft.part("time")
    draft.leave("time.zone", "Europe/Berlin", "a file does not tell the zone of the shop's clock")
    name = roles.columns.get("ordered_at")
    if name is None or name in sample.typed:
        return
    texts = sample.texts(name)
    fitting = time_formats(texts)
    if len(fitting) == 1:
        draft.set("format", fitting[0], f"as in {texts[0]}")
    elif fitting:
        draft.leave("time.format", fitting[0], f"{', '.join(fitting)} all read {name!r}, as in {texts[0]}")
    else:
        _mixed(draft, name, texts)


def _mixed(draft: _Draft, name: str, texts: list[str]) -> None:
    counts = Counter(form for text in texts for form in time_formats([text]))
    if not counts:
        draft.leave("time.format", ISO, f"no known format reads {name!r}, as in {texts[0]}")
        return
    best, count = counts.most_common(1)[0]
    other = next(text for text in texts if best not in time_formats([text]))
    said = f"{best} reads {count:,} of {len(texts):,} values of {name!r}, but not {other}"
    draft.leave("time.format", [best, *time_formats([other])[:1]], f"{said}; rows that no format reads are set aside")


def _numbers(draft: _Draft, sample: Sample, roles: Roles) -> None:
    told = [fact for fact in NUMBERS if fact in roles.columns and roles.columns[fact] not in sample.typed]
    texts = [text for fact in told for text in _texts(sample, roles, fact)]
    if not texts:
        return
    draft.part("numbers")
    fitting = notations(texts)
    if not fitting:
        best = notations([text for text in texts if notations([text])][:1])
        example = best[0].decimal if best else "."
        draft.leave("numbers.decimal", example, f"no notation reads all numbers, as {texts[0]} and others")
        return
    first = fitting[0]
    fractions = [text for text in texts if first.decimal in text]
    if fractions and all(re.search(first.three_digits, text) for text in fractions):
        other = "," if first.decimal == "." else "."
        draft.leave("numbers.decimal", other, f"{fractions[0]} may be thousands or have three decimals")
        draft.lines.append(f"# thousands = {_toml(first.decimal)}")
        return
    draft.set("decimal", first.decimal)
    if first.thousands or fractions:
        draft.set("thousands", first.thousands)


def _columns(draft: _Draft, sample: Sample, roles: Roles) -> None:
    draft.part("columns")
    for fact in ("customer_id", "ordered_at"):
        if fact not in roles.columns:
            draft.leave(f"columns.{fact}", sample.names[0], f"no column looks like it: {_listed(sample.names)}")
    amounts = {"net_amount", "gross_amount"} & roles.columns.keys()
    if not amounts and not {"unit_price", "unit_count"} <= roles.columns.keys():
        draft.leave("columns.net_amount", sample.names[-1], f"no column looks like an amount: {_listed(sample.names)}")
    if repeated := _repeated_total(sample, roles):
        why = f"{repeated!r} is the same on every line of an order: it may be the order's total, which no line has"
        draft.ask("columns.net_amount", why)
    for fact in [fact for fact in WORDS if fact in roles.columns]:
        _column(draft, sample, roles, fact)
    told = {name for fact, name in roles.columns.items() if fact not in _unusable(roles)}
    used = {*told, *_group(draft, sample, roles)}
    if left := [name for name in sample.names if name not in used]:
        draft.lines.append(f"# not used: {_listed(left)}")


def _column(draft: _Draft, sample: Sample, roles: Roles, fact: str) -> None:
    name, others = roles.columns[fact], roles.rivals.get(fact, ())
    if fact == "coupon_amount":
        draft.leave(f"columns.{_role_of_coupons(sample, roles)}", name, _coupon_question(name))
    elif fact not in _unusable(roles):
        draft.set(fact, name, f"or {_listed(others)}" if others else "")
    if (times := sample.names.count(name)) > 1:
        why = f"{name!r} stands {times} times in the header, and a file is read only where it stands once"
        draft.ask(f"columns.{fact}", f"{why}: rename the others")


def _group(draft: _Draft, sample: Sample, roles: Roles) -> list[str]:
    """Ask about the column of groups that may be the category; return its name, where there is one."""
    used = roles.columns.values()
    found = [name for name in sample.names if name not in used and name.strip().lower() in GROUPS][:1]
    if not found or "product_id" not in roles.columns or "category" in roles.columns:
        return []
    draft.leave("columns.category", found[0], f"{found[0]!r} may be the group of the product, or of the customer")
    return found


def _role_of_coupons(sample: Sample, roles: Roles) -> str:
    """Return what a column of coupons most likely is: a discount, of the order where it is not told by line."""
    if {"net_amount", "discount_amount"} & roles.columns.keys():
        return "coupon_amount"  # what the shop received is told without it
    several = _of_several_lines(sample, roles, roles.columns["coupon_amount"])
    if not several:
        return "discount_amount"
    once = sum(len(set(filter(None, texts))) <= 1 for texts in several)
    return "order_discount_amount" if once > SURELY * len(several) else "discount_amount"


def _coupon_question(name: str) -> str:
    return (
        f"{name!r} lowers what the shop received (order_discount_amount of an order, discount_amount of a line), or is "
        "only noted (coupon_amount)"
    )


def _repeated_total(sample: Sample, roles: Roles) -> str | None:
    """Return the amount that does not differ between the lines of an order, where most orders have several."""
    name = roles.columns.get("net_amount")
    several = [] if name is None else _of_several_lines(sample, roles, name)
    same = sum(len(set(amounts)) == 1 for amounts in several)
    return name if several and same > SURELY * len(several) else None


def _of_several_lines(sample: Sample, roles: Roles, name: str) -> list[list[str]]:
    """Return what a column holds on the lines of each order that has several."""
    if "order_id" not in roles.columns:
        return []
    order, place = sample.names.index(roles.columns["order_id"]), sample.names.index(name)
    lines: dict[str, list[str]] = {}
    for row in sample.rows:
        lines.setdefault(row[order], []).append(row[place].strip())
    return [texts for texts in lines.values() if len(texts) > 1]


def _unusable(roles: Roles) -> set[str]:
    """Return the facts that cannot be told without another one that was not found."""
    without_product = (
        {"product_name", "category", "department", "brand"} if "product_id" not in roles.columns else set()
    )
    has_total = {"net_amount", "gross_amount"} & roles.columns.keys()
    has_both = has_total and {"unit_price", "unit_count"} <= roles.columns.keys()
    return without_product | ({"unit_price"} if has_both else set())


def _kinds(draft: _Draft, sample: Sample, roles: Roles) -> None:
    statuses = _texts(sample, roles, "status")
    ids = _texts(sample, roles, "order_id")
    returns = _return_prefixes(sample, roles)
    unsure = [start for start in _rarer_starts(ids) if start not in returns]
    if not statuses and not returns and not unsure:
        return
    draft.part("kinds")
    if returns:
        draft.set("prefix", dict.fromkeys(returns, "return"), "order ids that start so have negative quantities")
        for start in unsure:
            draft.ask("kinds.prefix", _start_question(start, ids))
    elif unsure:
        kinds = {start: "return" if _names_other_orders(start, ids) else "sale" for start in unsure}
        draft.leave("kinds.prefix", kinds, "; ".join(_start_question(start, ids) for start in unsure))
    if statuses:
        found = [status for status, _n in Counter(statuses).most_common(MOST_STATUSES)]
        kinds = {status: kind for status in found if (kind := _kind_of(status))}
        draft.set("status", kinds, "review: what each status means")
        if unknown := [status for status in found if status not in kinds]:
            draft.leave("kinds.other_status", "sale", f"what does {_listed(unknown)} mean")


def _return_prefixes(sample: Sample, roles: Roles) -> list[str]:
    if not {"order_id", "unit_count"} <= roles.columns.keys():
        return []
    order, count = (sample.names.index(roles.columns[fact]) for fact in ("order_id", "unit_count"))
    signs: dict[str, Counter[bool]] = {}
    for row in sample.rows:
        if start := re.match("[A-Za-z]+", row[order]):
            signs.setdefault(start.group(), Counter())[row[count].strip().startswith("-")] += 1
    return [start for start, seen in signs.items() if seen[True] and not seen[False]]


def _rarer_starts(ids: Sequence[str]) -> list[str]:
    """Return the letters with which some order ids start and most do not, where these are few."""
    starts = Counter(_start(order_id) for order_id in ids)
    rarer = [start for start, _n in starts.most_common()[1:] if start]
    return rarer if len(rarer) <= MOST_STARTS else []


def _start(order_id: str) -> str:
    found = re.match("[A-Za-z]+", order_id)
    return found.group() if found else ""


def _names_other_orders(start: str, ids: Sequence[str]) -> str | None:
    """Return the first id that, without its start, is the id of another order."""
    known = set(ids)
    return next((one for one in ids if _start(one) == start and one.removeprefix(start).lstrip("-_ ") in known), None)


def _start_question(start: str, ids: Sequence[str]) -> str:
    distinct = dict.fromkeys(ids)
    found = [order_id for order_id in distinct if _start(order_id) == start]
    other = _names_other_orders(start, ids)
    beside = f", and {other!r} names an order that is there without it" if other else f", as {found[0]!r}"
    return f"{len(found):,} of {len(distinct):,} order ids start with {start!r}{beside}: are they returns"


def _kind_of(status: str) -> str | None:
    lowered = status.lower()
    return next((kind for kind, words in STATUS_WORDS.items() if any(word in lowered for word in words)), None)


def _customers(draft: _Draft, sample: Sample, roles: Roles) -> None:
    if "customer_id" not in roles.columns:
        return
    given = len(sample.texts(roles.columns["customer_id"]))
    if missing := len(sample.rows) - given:
        draft.part("customers")
        draft.set("missing", "set_aside", f"none is given in {missing:,} of {counted(len(sample.rows), 'row')}")


def _texts(sample: Sample, roles: Roles, fact: str) -> list[str]:
    return sample.texts(roles.columns[fact]) if fact in roles.columns else []


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:12])) + (", ..." if len(names) > 12 else "")  # noqa: PLR2004


def _key(key: str) -> str:
    bare = key.rsplit(".", maxsplit=1)[-1]
    return bare if re.fullmatch(r"[A-Za-z0-9_-]+", bare) else json.dumps(bare, ensure_ascii=False)


def _toml(value: object) -> str:
    match value:
        case dict():
            return "{ " + ", ".join(f"{_key(str(k))} = {_toml(v)}" for k, v in value.items()) + " }"
        case list():
            return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
