"""What is done with rules and runs."""
