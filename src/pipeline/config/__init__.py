"""What a person decides: one YAML file to typed settings."""
