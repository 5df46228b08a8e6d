"""Leads and stages in the GraphQL schema."""
