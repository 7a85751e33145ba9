"""Whether the champion still holds."""
