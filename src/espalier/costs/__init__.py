"""What a network costs: counted exactly (parameters, MACs, activations) or measured (time, memory)."""

from espalier.costs.count import Cost, Layer, count

__all__ = ["Cost", "Layer", "count"]
