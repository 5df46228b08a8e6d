"""Tags in the GraphQL schema."""
