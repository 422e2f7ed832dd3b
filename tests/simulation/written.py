"""A simulated shop's folder, read back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from simulation.run import Simulated

CUSTOMERS, SEED, DAYS = 3000, 7, 365


@dataclass(frozen=True, slots=True)
class Shop:
    """A folder that the simulator wrote; only read it."""

    folder: Path
    simulated: Simulated

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.folder / name)

    def truth(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.folder / "truth" / f"{name}.parquet")

    def sales(self) -> pd.DataFrame:
        """Return the sales with their gross amount, by customer and time."""
        orders, lines = self.table("orders"), self.table("order_lines")
        gross = lines.groupby("order_id").gross_amount.sum().astype(float).rename("gross")
        sales = orders[orders.kind == "sale"].join(gross, on="order_id")
        return sales.sort_values(["customer_id", "ordered_at"], ignore_index=True)
