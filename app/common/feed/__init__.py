"""The workspace's feed: append (in the writer's transaction), hub and ring (in each API process), doorbell (Redis)."""
