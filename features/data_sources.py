"""Where Feast finds the snapshots: absolute paths, because a relative one would hang on the working folder."""

from feast import FileSource
from feast.data_format import ParquetFormat

from facts.home import Home
from facts.lake import Lake
from features.snapshots import SNAPSHOTS, VECTORS

home_lake = Lake(Home.from_environment().lake)


def source_of(name: str, lake: Lake, description: str) -> FileSource:
    """Return one table of a lake as a source."""
    return FileSource(
        name=name,
        path=str(lake.path(name)),
        file_format=ParquetFormat(),
        timestamp_field="cutoff",
        description=description,
        owner="retention",
    )


def snapshots_of(lake: Lake) -> FileSource:
    """Return a lake's snapshots, a column per feature."""
    return source_of(SNAPSHOTS, lake, "One row per customer and cutoff: what was known of the customer just before it")


def vectors_of(lake: Lake) -> FileSource:
    """Return a lake's snapshots, one vector per row."""
    return source_of(VECTORS, lake, "The snapshots with the features as one vector, in catalog order")


customer_snapshots = snapshots_of(home_lake)
customer_vectors = vectors_of(home_lake)
