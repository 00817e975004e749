"""The dependency graph: which slices of which tensors must go together, and proof that they may."""

from espalier.channels.graph import Channels, analyse, random_cut, sample_inputs
from espalier.channels.groups import ChannelGroup, Member
from espalier.channels.rules import add_rule

__all__ = ["ChannelGroup", "Channels", "Member", "add_rule", "analyse", "random_cut", "sample_inputs"]
