"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from vmnet.change import journal

# A busy machine is no failure of the code: no example has a deadline.
settings.register_profile("vmnet", deadline=None)
settings.load_profile("vmnet")


@pytest.fixture(autouse=True)
def nobody_elses_transactions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine has in /var/lib is not the tests'."""
    monkeypatch.setattr(journal, "lasting_folder", lambda: tmp_path / "lasting")
