"""How a model comes to be: labels, splits, search, calibration, evaluation, registration."""
