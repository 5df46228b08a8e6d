"""The use cases of imports: accept a batch, run a chunk."""
