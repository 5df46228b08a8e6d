"""GraphQL of the inbox."""
