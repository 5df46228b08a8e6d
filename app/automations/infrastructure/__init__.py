"""Their rows."""
