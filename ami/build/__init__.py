"""Builds the machine image: a bootable disk of Debian's packages, the service, and `ami/rootfs`."""
