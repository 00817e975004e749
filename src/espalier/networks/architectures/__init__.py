"""Super-resolution networks of our own, one file each, found by file name.

A file exports `NETWORK` (the class, keyword arguments only, with a `scale` argument), `recognise` (tensors of a
checkpoint -> `Recognised` or None) and, where the network differs from RGB in 0..1, `adapter(arguments)`.
"""
