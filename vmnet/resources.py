"""Where the shipped templates are: in the wheel beside the code, in a source checkout above it."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent


def shipped(name: str = "") -> Path:
    """The path of a shipped template, or of their directory."""
    folder = _HERE / "templates"
    return (folder if folder.is_dir() else _HERE.parent / "templates") / name
