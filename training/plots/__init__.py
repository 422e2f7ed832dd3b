"""Figures of a model's quality, in one look: a sentence on what is seen, then whom, how many and how far ahead.

Every function returns a `matplotlib.figure.Figure` of 900 x 600 pixels that belongs to nobody else: pyplot, which keeps
figures alive and picks a window system, is not used.
"""

from training.plots.backtest import cutoffs_plot, learning_curve_plot
from training.plots.canvas import Subject
from training.plots.comparison import metric_comparison_plot
from training.plots.drift import drift_plot, score_shift_plot
from training.plots.features import importance_plot, shap_summary_plot
from training.plots.predictions import calibration_plot, decile_plot, gain_plot, interval_plot
from training.plots.search import optimisation_plot

__all__ = [
    "Subject",
    "calibration_plot",
    "cutoffs_plot",
    "decile_plot",
    "drift_plot",
    "gain_plot",
    "importance_plot",
    "interval_plot",
    "learning_curve_plot",
    "metric_comparison_plot",
    "optimisation_plot",
    "score_shift_plot",
    "shap_summary_plot",
]
