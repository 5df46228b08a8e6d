"""The tables of the inbox, what writes them and what reads them."""
