"""One file a verb: observe, plan, apply, over both wings. This is vmnet's Python API."""
