"""Which column may be which fact: by its name in a few languages, and by whether its values fit."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping as Dict
from dataclasses import dataclass

from facts.ingest.table.guess import notations, time_formats
from facts.ingest.table.mapping import UNIX, UNIX_MS
from facts.ingest.table.sample import Sample

# A name is compared without case, blanks and signs; the earlier word is the better one.
WORDS: Dict[str, tuple[str, ...]] = {
    "order_id": (
        "orderid", "ordernumber", "orderno", "ordernr", "order", "invoiceid", "invoiceno", "invoicenumber", "invoice",
        "transactionid", "receiptid", "receiptno", "basketid", "bestellnummer", "auftragsnummer", "belegnummer",
        "rechnungsnummer", "numerocommande", "numeropedido",
    ),
    "customer_id": (
        "customerid", "customerno", "customernumber", "customer", "custid", "clientid", "client", "memberid", "userid",
        "buyerid", "householdid", "email", "customeremail", "billingemail", "kundennummer", "kundennr", "kunde",
        "idcliente", "cliente", "id",
    ),
    "ordered_at": (
        "orderedat", "orderdate", "orderdatetime", "createdat", "invoicedate", "purchasedate", "transactiondate",
        "transactiontimestamp", "timestamp", "datetime", "date", "bestelldatum", "rechnungsdatum", "datum", "fecha",
        "datecommande", "time",
    ),
    "product_id": (
        "productid", "sku", "stockcode", "itemid", "itemsku", "articleid", "articleno", "productcode", "product",
        "article", "item", "upc", "ean", "artikelnummer", "artikelnr", "artikel", "producto", "produit",
    ),
    "product_name": (
        "productname", "itemname", "articlename", "description", "productdescription", "title", "artikelname",
        "bezeichnung", "descripcion", "designation",
    ),
    "category": ("category", "productcategory", "categoryname", "kategorie", "warengruppe", "categoria", "categorie"),
    "department": ("department", "abteilung", "departamento"),
    "brand": ("brand", "vendor", "manufacturer", "marke", "hersteller", "marca", "marque"),
    "unit_count": ("quantity", "qty", "units", "unitcount", "itemcount", "numberofcds", "pieces", "menge", "anzahl",
                   "cantidad", "quantite", "count"),
    "unit_price": ("unitprice", "priceperunit", "itemprice", "price", "einzelpreis", "stueckpreis", "stückpreis",
                   "preis", "precio", "prix"),
    "net_amount": (
        "netamount", "linetotal", "salesvalue", "ordertotal", "totalamount", "totalprice", "amount", "total", "revenue",
        "sales", "dollarvalue", "spend", "paid", "value", "gesamtbetrag", "gesamtpreis", "betrag", "summe", "umsatz",
        "importe", "montant", "subtotal",
    ),
    "gross_amount": ("grossamount", "gross", "listamount", "bruttobetrag"),
    "discount_amount": ("discountamount", "discount", "rabatt", "descuento", "remise"),
    "coupon_amount": ("couponamount", "couponvalue", "voucher"),
    "status": ("orderstatus", "status", "financialstatus", "state", "bestellstatus", "estado", "statut"),
    "currency": ("currency", "currencycode", "ordercurrency", "waehrung", "währung", "moneda", "devise"),
    "store_id": ("storeid", "storename", "store", "shopid", "location", "branch", "filiale", "tienda", "magasin"),
}  # fmt: skip
NUMBERS = ("unit_count", "unit_price", "net_amount", "gross_amount", "discount_amount", "coupon_amount")
LARGEST_SHARE_UNFIT = 0.5  # a column of which more does not fit is another one


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """What was found: fact to column, and where two columns fit a fact as well."""

    columns: Dict[str, str]
    rivals: Dict[str, tuple[str, ...]]

    @property
    def unused(self) -> tuple[str, ...]:
        """Return the columns that compete for a fact and lost."""
        return tuple(name for names in self.rivals.values() for name in names)


def find_roles(sample: Sample) -> Roles:
    """Return which column is taken to be which fact, each used once, the surest first."""
    scores = sorted(
        ((_score(name, fact), fact, name) for name in sample.names for fact in WORDS),
        key=lambda item: (-item[0], list(WORDS).index(item[1]), sample.names.index(item[2])),
    )
    columns: dict[str, str] = {}
    rivals: dict[str, tuple[str, ...]] = {}
    for score, fact, name in scores:
        if score <= 0 or name in columns.values() or not _fits(sample, fact, name):
            continue
        if fact in columns:
            rivals[fact] = (*rivals.get(fact, ()), name)
        else:
            columns[fact] = name
    if "ordered_at" not in columns and len(dated := _dated(sample, columns)) == 1:
        columns["ordered_at"] = dated[0]
    rivals = {fact: left for fact, names in rivals.items() if (left := _unclaimed(names, columns))}
    return Roles(columns=columns, rivals=rivals)


def texts_of(sample: Sample, roles: Roles, fact: str) -> list[str]:
    """Return what the column of a fact holds, without the empty fields; nothing where there is none."""
    return sample.texts(roles.columns[fact]) if fact in roles.columns else []


def _dated(sample: Sample, columns: Dict[str, str]) -> list[str]:
    """Return the columns left over of which every value is a date."""
    left = [name for name in sample.names if name not in columns.values()]
    return [name for name in left if set(time_formats(sample.texts(name))) - {UNIX, UNIX_MS}]


def _unclaimed(names: tuple[str, ...], columns: Dict[str, str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in columns.values())


def _score(name: str, fact: str) -> float:
    bare = re.sub(r"[\W_]", "", name.lower())
    words = WORDS[fact]
    if bare in words:
        return 3 - words.index(bare) / len(words)
    within = [word for word in words if len(word) > 3 and word in bare]  # noqa: PLR2004 - "id" is within many names
    return 1 - words.index(within[0]) / len(words) if within else 0


def _fits(sample: Sample, fact: str, name: str) -> bool:
    texts = sample.texts(name)[:500]
    if not texts or (name in sample.typed and fact in {"ordered_at", *NUMBERS}):
        return bool(texts)
    if fact == "ordered_at":
        return _share(texts, lambda text: bool(time_formats([text])))
    return fact not in NUMBERS or _share(texts, lambda text: bool(notations([text])))


def _share(texts: list[str], fits: Callable[[str], bool]) -> bool:
    return sum(map(fits, texts)) > LARGEST_SHARE_UNFIT * len(texts)
