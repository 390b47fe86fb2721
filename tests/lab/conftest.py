"""These tests start labs of their own, as root, and look at what they leave."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

import pytest

pytest.register_assert_rewrite("tests.lab.outside")

from tests.lab.outside import traces, until  # noqa: E402 - its assertions are to be rewritten first


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """This host is after each test as it was before."""
    if os.geteuid() != 0:
        pytest.fail("tests/lab start labs: run them as root", pytrace=False)
    before = traces()
    yield
    with suppress(AssertionError):  # the kernel takes links down later, and another lab's node may pass by
        until(lambda: traces() == before, "nothing is left", 2)
    assert traces() == before
