"""The tables of tags, what writes them and what reads them."""
