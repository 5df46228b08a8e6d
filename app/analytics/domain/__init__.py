"""The time that figures are about."""
