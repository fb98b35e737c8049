"""The lab: an architecture as real processes in namespaces, joined by an emulated WAN."""
