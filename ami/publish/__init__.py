"""Publishes a disk: its blocks become an EBS snapshot, from which the image stack registers an image."""
