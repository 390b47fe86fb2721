"""The host's wing: its links as values, the planner, and the only code that changes them."""
