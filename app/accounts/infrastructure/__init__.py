"""SQL, tokens and password hashes of accounts."""
