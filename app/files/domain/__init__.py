"""What a file is, and what may be refused."""
