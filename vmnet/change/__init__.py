"""A change: its plan, and the executor that applies it or puts the world back."""
