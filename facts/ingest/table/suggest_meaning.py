"""What a suggested mapping says a file means: which column is which fact, what is a return, who is no customer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from facts.errors import counted
from facts.ingest.table.draft import Draft, listed
from facts.ingest.table.roles import WORDS, Roles, texts_of
from facts.ingest.table.sample import Sample

STATUS_WORDS = {
    "cancelled": ("cancel", "void", "fail", "expired", "storniert", "annul", "pending payment", "draft"),
    "return": ("returned", "retour"),
    "sale": ("paid", "complete", "ship", "deliver", "process", "closed", "fulfil", "done", "bezahlt", "versendet"),
}
GROUPS = ("group", "gruppe", "grupo", "groupe")
MOST_STATUSES = 20
MOST_STARTS = 5
SURELY = 0.9


def write_columns(draft: Draft, sample: Sample, roles: Roles) -> None:
    """Say which column is which fact, and which are not used."""
    draft.part("columns")
    for fact in ("customer_id", "ordered_at"):
        if fact not in roles.columns:
            draft.leave(f"columns.{fact}", sample.names[0], f"no column looks like it: {listed(sample.names)}")
    amounts = {"net_amount", "gross_amount"} & roles.columns.keys()
    if not amounts and not {"unit_price", "unit_count"} <= roles.columns.keys():
        draft.leave("columns.net_amount", sample.names[-1], f"no column looks like an amount: {listed(sample.names)}")
    if repeated := _repeated_total(sample, roles):
        why = f"{repeated!r} is the same on every line of an order: it may be the order's total, which no line has"
        draft.ask("columns.net_amount", why)
    for fact in [fact for fact in WORDS if fact in roles.columns]:
        _column(draft, sample, roles, fact)
    told = {name for fact, name in roles.columns.items() if fact not in _unusable(roles)}
    used = {*told, *_group(draft, sample, roles)}
    if left := [name for name in sample.names if name not in used]:
        draft.lines.append(f"# not used: {listed(left)}")


def _column(draft: Draft, sample: Sample, roles: Roles, fact: str) -> None:
    name, others = roles.columns[fact], roles.rivals.get(fact, ())
    if fact == "coupon_amount":
        draft.leave(f"columns.{_role_of_coupons(sample, roles)}", name, _coupon_question(name))
    elif fact not in _unusable(roles):
        draft.set(fact, name, f"or {listed(others)}" if others else "")
    if (times := sample.names.count(name)) > 1:
        why = f"{name!r} stands {times} times in the header, and a file is read only where it stands once"
        draft.ask(f"columns.{fact}", f"{why}: rename the others")


def _group(draft: Draft, sample: Sample, roles: Roles) -> list[str]:
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


def write_kinds(draft: Draft, sample: Sample, roles: Roles) -> None:
    """Say what statuses and the starts of order ids mean, where there are any."""
    statuses = texts_of(sample, roles, "status")
    ids = texts_of(sample, roles, "order_id")
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
            draft.leave("kinds.other_status", "sale", f"what does {listed(unknown)} mean")


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


def write_customers(draft: Draft, sample: Sample, roles: Roles) -> None:
    """Say that orders without a customer are set aside, where there are any."""
    if "customer_id" not in roles.columns:
        return
    given = len(sample.texts(roles.columns["customer_id"]))
    if missing := len(sample.rows) - given:
        draft.part("customers")
        draft.set("missing", "set_aside", f"none is given in {missing:,} of {counted(len(sample.rows), 'row')}")
