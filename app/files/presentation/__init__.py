"""HTTP of files: uploads and downloads."""
