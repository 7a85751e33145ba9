"""The kinds of model that a config can name. A file is a kind: its settings, its estimators, its export."""
