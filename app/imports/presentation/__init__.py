"""Imports in the GraphQL schema."""
