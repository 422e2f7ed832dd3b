"""Whether a champion is still what its training said: drift of what it is given and says, and what came of it."""

from training.monitoring.drift import FeatureDrift, Thresholds, drift_of, drift_table, population_stability
from training.monitoring.performance import Performance, measure
from training.monitoring.reference import Reference, build_reference
from training.monitoring.run import Monitored, monitor, performance_sentence

__all__ = [
    "FeatureDrift",
    "Monitored",
    "Performance",
    "Reference",
    "Thresholds",
    "build_reference",
    "drift_of",
    "drift_table",
    "measure",
    "monitor",
    "performance_sentence",
    "population_stability",
]
