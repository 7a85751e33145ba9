"""The kinds of model that a config can name. A file is a kind: its settings, its estimators, its export."""

from pipeline.candidates import kind as kind  # first: it imports every kind, so none may begin before it
