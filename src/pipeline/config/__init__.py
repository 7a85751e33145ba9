"""Everything that a person decides: one YAML file, read into typed and validated settings."""
