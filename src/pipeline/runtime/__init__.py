"""Everything that a prediction needs, and so everything that the server installs: no training library is imported."""
