"""The feed as it is followed: hub and ring (in each API process), doorbell (Redis), cursors. `feed_log.py` appends."""
