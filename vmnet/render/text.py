"""Text from elsewhere, made safe for a terminal."""

from __future__ import annotations


def safe(text: str) -> str:
    """The text with all that a terminal would act on or not show (controls, bidi marks) spelt out as escapes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
