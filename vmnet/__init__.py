"""vmnet: the NICs of KVM guests and the host links beneath them, in one plan."""

__version__ = "0.1.0"
