"""The dependency graph: which slices of which tensors must go together, and proof that they may."""

from espalier.channels.graph import Channels, analyse, sample_inputs
from espalier.channels.groups import ChannelGroup, Member
from espalier.channels.rules import add_rule
from espalier.channels.units import Unit, random_cut, units_of

__all__ = [
    "ChannelGroup", "Channels", "Member", "Unit", "add_rule", "analyse", "random_cut", "sample_inputs", "units_of",
]  # fmt: skip
