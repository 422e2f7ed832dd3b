"""Which customers a training takes: all of them, or of a large shop a sample that is the same each time.

Customers are sampled, not rows: all cutoffs of a sampled customer stay together. Every task takes the same customers,
and those of a smaller sample are among those of a larger one.
"""

from __future__ import annotations

from datetime import datetime

import ibis

from facts.lake import Lake
from features.snapshots import SNAPSHOTS, part_key

LARGEST_ROWS = 400_000  # customer-cutoffs: some 2 GB, and two minutes of a search on two cores
_DIGITS = 8  # of the hash, hexadecimal


def share_for(lake: Lake, *, until: datetime, rows: int = LARGEST_ROWS) -> float:
    """Return the share of customers with which the snapshots up to a cutoff have at most about so many rows.

    It counts what the manifest says of every snapshot, and reads none.
    """
    last = part_key(until)
    held = sum(part.rows for key, part in lake.parts(SNAPSHOTS).items() if key <= last)
    return 1.0 if held <= rows else max(round(rows / held, 6), 1e-6)


def is_sampled(customer_id: ibis.StringValue, share: float) -> ibis.BooleanValue:
    """Return whether a customer is in the sample: its id's MD5, read as a number in [0, 1), is below the share."""
    border = f"{round(share * 16**_DIGITS):0{_DIGITS + 1}x}"  # one digit more, for a share of 1
    return ibis.literal("0") + customer_id.hexdigest("md5").substr(0, _DIGITS) < border


def sample_notes(share: float) -> tuple[str, ...]:
    """Return what a reader of a training's figures should know of its sample, nothing where all customers are taken."""
    if share == 1:
        return ()
    said = f"trained and tested on a sample of {share:.2%} of the customers, by a hash of their ids"
    return (f"{said}; intervals are of the sample, and `regulars train --rows` takes more",)
