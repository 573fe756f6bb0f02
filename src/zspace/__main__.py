"""The command line as `python -m zspace`, which `torchrun -m zspace` needs."""

from zspace.cli import main

main()
