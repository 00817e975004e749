"""Measuring the quality of networks on folders of images, as super-resolution papers do."""

from espalier.evaluation.benchmark import Evaluation, ImageQuality, compare, evaluate, image_quality

__all__ = ["Evaluation", "ImageQuality", "compare", "evaluate", "image_quality"]
