"""Losses: one file each, found by its name; a weighted list of them is what a network is trained on."""

from espalier.losses.weighted import Term, names, option_types, parse, terms

__all__ = ["Term", "names", "option_types", "parse", "terms"]
