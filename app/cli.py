"""The command line (typer)."""


def main() -> None:
    print("soon")
