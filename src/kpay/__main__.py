"""`python -m kpay` is the same as the `kpay` command."""

from kpay.cli import main

main()
