"""Masks as few bytes: Rice's code for the gaps between the rarer of two values (Rice, 1979).

Of a gap g, g >> bits is written in unary and the last bits as they are. The two kinds of bits lie apart, so that
both ways are operations on whole arrays. For independent zeros this is within 4.5 % of the entropy at any sparsity,
mostly within 1.5 %.
"""

import struct

import numpy as np

_HEAD = struct.Struct("<BII")
"""Bits of a remainder (the highest bit: the rarer value), how often that occurs, bytes of the unary part."""
_LONGEST = 31


class DamagedMaskError(ValueError):
    """Bytes that `encode` did not write."""


def encode(mask: np.ndarray) -> bytes:
    """A flat array of booleans; its length is not kept."""
    rare = bool(2 * np.count_nonzero(mask) <= mask.size)
    places = np.flatnonzero(mask == rare)
    gaps = np.diff(places, prepend=-1) - 1
    bits = min(range(_LONGEST), key=lambda b: int((gaps >> b).sum()) + b * len(gaps))
    unary = np.zeros(int((gaps >> bits).sum()) + len(gaps), bool)
    unary[np.cumsum((gaps >> bits) + 1) - 1] = True
    coarse = np.packbits(unary).tobytes()
    fine = np.packbits(_digits(gaps, bits)).tobytes()
    return _HEAD.pack(bits | rare << 7, len(places), len(coarse)) + coarse + fine


def decode(data: bytes, size: int) -> np.ndarray:
    """The flat array of `size` booleans.

    Raises:
        DamagedMaskError: the bytes are not of a mask of this size.
    """
    if len(data) < _HEAD.size:
        raise DamagedMaskError("it is cut short")
    first, count, length = _HEAD.unpack_from(data)
    bits, rare = first & 0x7F, bool(first >> 7)
    body = np.frombuffer(data, np.uint8, offset=_HEAD.size)
    if bits >= _LONGEST or len(body) != length + -(-count * bits // 8):
        raise DamagedMaskError("it has another length than it says")
    ends = np.flatnonzero(np.unpackbits(body[:length]))
    if len(ends) != count:
        raise DamagedMaskError(f"it says {count} places and has {len(ends)}")
    digits = np.unpackbits(body[length:])[: count * bits].reshape(count, bits)
    places = np.cumsum((np.diff(ends, prepend=-1) - 1 << bits) + _numbers(digits) + 1) - 1
    if count and places[-1] >= size:
        raise DamagedMaskError(f"it has a place {places[-1]} in {size}")
    mask = np.full(size, not rare)
    mask[places] = rare
    return mask


def _digits(numbers: np.ndarray, bits: int) -> np.ndarray:
    """The last `bits` binary digits of each number, the highest first, (numbers, bits)."""
    return (numbers[:, None] >> np.arange(bits)[::-1] & 1).astype(np.uint8)


def _numbers(digits: np.ndarray) -> np.ndarray:
    return (digits.astype(np.int64) << np.arange(digits.shape[1])[::-1]).sum(1)
