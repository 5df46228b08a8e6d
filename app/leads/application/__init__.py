"""The use cases of leads and stages."""
