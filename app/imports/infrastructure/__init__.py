"""The ledger of imports, and what is read of it."""
