"""The guest's NIC as a value: libvirt's `<interface>` read, patched and judged."""
