"""Bulk sends in the GraphQL schema."""
