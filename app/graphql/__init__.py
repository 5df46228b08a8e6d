"""The one schema and its door: root types, limits, HTTP and websocket endpoint, the feed subscription."""
