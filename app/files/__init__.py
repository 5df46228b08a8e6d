"""Files: what people upload and what mails bring, as rows here and bytes in a storage beside the database.

Owns `file` and the folder `SALESPAD_FILES_DIR`; uses accounts; announces nothing. A row is written before its bytes and
settled after them, so bytes without a row do not exist, and what no message or import has used after a day is deleted
with its row. Bytes are handed out by short signed links only, never as something a browser would run. Other modules
take uploads, store what came with a mail and make links through `wiring`.
"""
