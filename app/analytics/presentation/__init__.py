"""Figures in the GraphQL schema."""
