"""Espalier makes trained image super-resolution networks smaller and faster."""

__version__ = "0.1.0"
