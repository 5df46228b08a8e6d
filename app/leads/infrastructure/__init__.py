"""The tables of leads, what writes them and what reads them."""
