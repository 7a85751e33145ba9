"""The HTML pages: a form, its answer, and the facts of the model."""
