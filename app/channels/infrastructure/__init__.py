"""The tables of channels, and the adapters to SMTP, IMAP and MIME."""
