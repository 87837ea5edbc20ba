"""Measurements beside other programs; not part of the package. README.md says how to read them."""
