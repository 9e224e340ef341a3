"""`python -m audiences` is the command line."""

from audiences.cli import main

main()
