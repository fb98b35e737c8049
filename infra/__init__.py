"""Declared: the architectures, and the pure functions that think about them."""
