"""`seed-demo`: a believable workspace in Portuguese, for whoever looks at SalesPad for the first time.

The same people, companies, tags and stages every time (a fixed seed); only ids and the dates, which end today, differ.
Five transactions, each whole or not at all: the workspace with its three members, its leads, its mails, its templates
and snippets, then its automations. Run again, it finds what is there and makes the rest. Nobody can be reached:
addresses are on `.example` (RFC 2606), the account's own lies in the local mailbox, and the phone numbers, though valid
in form, are plainly made up: +55 <area> 90000-0000 and on. `--leads N` adds the first N of a crowd without end
(`crowd.py`, `filling.py`). It grows with the product.
"""
