"""GraphQL of onboarding."""
