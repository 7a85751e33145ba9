"""From rows to a bundle that has passed its gates. Read `train.py` first."""
