"""A shop that does not exist, whose customers' true parameters are known: estimates are checked against them."""
