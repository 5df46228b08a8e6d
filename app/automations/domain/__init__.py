"""What a rule is, when it acts, and what may be refused of it."""
