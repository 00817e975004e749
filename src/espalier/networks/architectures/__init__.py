"""Super-resolution networks of our own, one file each, found by file name.

A file exports `NETWORK` (the class, keyword arguments only, among them `scale`), `recognise(state, scale)`
(tensors of a checkpoint -> `Recognised` or None; the scale matters only where the tensors leave it open) and,
where the network differs from RGB in 0..1, `adapter(arguments)`. Sizes inside `forward` are read off the
weights, so that cutting the weights is all that pruning has to do.
"""
