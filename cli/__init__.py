"""The `regulars` command: a thin skin over the rooms."""
