"""`python -m zspace`, as `torchrun -m zspace` needs it."""

from zspace.cli import main

main()
