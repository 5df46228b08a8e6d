"""What an import is: its states, its rows, what a row may hold."""
