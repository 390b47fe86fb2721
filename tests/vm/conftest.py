"""The tests here need a kernel with more than some have: `make test-vm` runs them in a machine with Debian's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.vm.hosts")

from tests.host.conftest import ip, kernel_says, private_namespace, uplink  # noqa: E402, F401 - fixtures; assertions are rewritten from here on
from tests.host.lan import gateway  # noqa: E402


@pytest.fixture
def lan(private_namespace: None) -> Iterator[int]:  # noqa: F811 - the fixture
    """A NIC ``up0`` with a gateway behind it; the gateway's process."""
    with gateway() as process:
        yield process
