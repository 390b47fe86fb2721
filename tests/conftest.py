"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

# A busy machine is no failure of the code: no example has a deadline.
settings.register_profile("vmnet", deadline=None)
settings.load_profile("vmnet")
