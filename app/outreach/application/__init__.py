"""The use cases of bulk sends."""
