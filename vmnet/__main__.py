"""`python -m vmnet`."""

from vmnet.cli.main import main

main()
