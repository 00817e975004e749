"""Losses: one file each, found by its name; a weighted list of them is what a network is trained on."""

from espalier.losses.weighted import Term, names, parse, terms

__all__ = ["Term", "names", "parse", "terms"]
