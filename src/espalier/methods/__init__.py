"""Pruning and training methods, one folder each; all act on training through `protocol.Method`."""
