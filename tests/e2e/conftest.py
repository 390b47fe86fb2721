"""These tests run inside a lab with two guests; they share it, and leave it as they found it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.e2e.world")

from tests.e2e.world import Guest, clean, define, make_bridge  # noqa: E402 - its assertions are to be rewritten first


@pytest.fixture(autouse=True)
def lab() -> Iterator[None]:
    """A clean lab for each test."""
    if os.environ.get("VMNET_LAB") != "1":
        pytest.fail(
            "tests/e2e need a lab around them: 'make test', or 'vmnet lab run --guests 2 -- pytest tests/e2e'",
            pytrace=False,
        )
    yield
    clean()


@pytest.fixture
def guest1() -> Guest:
    """A running guest without a NIC."""
    return Guest("guest1")


@pytest.fixture
def guest2() -> Guest:
    """Another one."""
    return Guest("guest2")


@pytest.fixture
def off() -> Guest:
    """A guest that is shut off, without a NIC."""
    return define("off")


@pytest.fixture
def br0() -> str:
    """A bridge of the host's with the uplink as its port, not made by vmnet."""
    make_bridge("br0")
    return "br0"
