"""How good predictions are: metrics, their intervals, and the same by slice. Light: numpy alone."""
