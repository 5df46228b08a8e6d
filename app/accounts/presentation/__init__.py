"""GraphQL and HTTP of accounts."""
