"""Templates and snippets in the GraphQL schema."""
