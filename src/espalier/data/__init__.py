"""Folders of images, packed once and cut into patches that depend on nothing but the seed and the step."""

from espalier.data.packed import PackedImages, pack
from espalier.data.patches import Patches

__all__ = ["PackedImages", "Patches", "pack"]
