"""One file a command: parse, call one operation, render; no decisions."""
