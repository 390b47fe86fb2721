"""The guest's half of the world: domains and their NICs, through libvirt."""
