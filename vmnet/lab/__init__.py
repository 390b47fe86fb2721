"""A disposable KVM host in private namespaces, with real guests on a LAN of its own."""
