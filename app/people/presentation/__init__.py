"""People in the GraphQL schema."""
