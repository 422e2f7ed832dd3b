"""Where Feast finds the snapshots: absolute paths, because a relative one would hang on the working folder."""

from feast import FileSource
from feast.data_format import ParquetFormat

from facts.home import Home
from facts.lake import Lake
from features.store import SNAPSHOTS, VECTORS

_lake = Lake(Home.from_environment().lake)

customer_snapshots = FileSource(
    name=SNAPSHOTS,
    path=str(_lake.path(SNAPSHOTS)),
    file_format=ParquetFormat(),
    timestamp_field="cutoff",
    description="One row per customer and cutoff: what was known of the customer just before it",
    owner="retention",
)

customer_vectors = FileSource(
    name=VECTORS,
    path=str(_lake.path(VECTORS)),
    file_format=ParquetFormat(),
    timestamp_field="cutoff",
    description="The snapshots with the features as one vector, in catalog order",
    owner="retention",
)
