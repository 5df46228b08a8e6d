"""GraphQL and webhooks of channels."""
