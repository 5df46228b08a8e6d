"""The table of files, the storage of their bytes, signed links."""
