"""The rules of conversations, messages and deliveries: pure."""
