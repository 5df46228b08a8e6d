"""Pure rules of accounts: addresses and passwords, sessions and refresh tokens, how often one may try."""
