"""Their part of the API."""
