"""The use cases of channel accounts."""
