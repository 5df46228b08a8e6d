"""The second door beside GraphQL: due rows, handled by the use cases of their modules."""
