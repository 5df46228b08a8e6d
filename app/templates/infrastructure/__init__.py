"""The tables of templates, what writes them and what reads them."""
