"""The command line: one module a command group."""


def main() -> None:
    """Run the command line."""
