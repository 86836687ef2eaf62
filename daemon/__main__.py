"""`python -m daemon`: the command line."""

from daemon.cli import main

main()
