"""Whom the features describe."""

from feast import Entity, ValueType

customer = Entity(
    name="customer",
    join_keys=["customer_id"],
    value_type=ValueType.STRING,
    description="A customer of the shop, by the shop's own id",
    owner="retention",
    tags={"key": "the shop's own id"},
)
