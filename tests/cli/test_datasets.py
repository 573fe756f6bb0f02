"""`zspace datasets`."""

from __future__ import annotations

from tests.conftest import Cli


def test_datasets_are_listed(cli: Cli) -> None:
    status, out, _ = cli("datasets")
    assert status == 0
    for name in ("digits", "mnist", "fashion-mnist", "cifar10", "svhn", "celeba", "mog5", "mog2"):
        assert name in out
