"""What a template is, its language, and what may be refused."""
