"""A student and its teacher, ready for a training: what `distill` and `compress-gan` begin with."""

import torch

from espalier.data import PackedImages
from espalier.distillation.students import changed, take_over, wish
from espalier.errors import NetworkError
from espalier.networks import own
from espalier.networks.network import Network
from espalier.networks.reference import looks_like_call
from espalier.recipes.console import say
from espalier.recipes.opening import opened
from espalier.recipes.prune import Request, prune


def made(text: str, teacher: Network, images: PackedImages, seed: int) -> Network:
    """The student that a person asked for, with what it can take over from its teacher.

    Raises:
        NetworkError: there is no such network, or it is for another scale.
        PlanError: the teacher cannot be pruned to the budget.
    """
    asked = wish(text)
    torch.manual_seed(seed)
    if asked.kind == "pruned":
        say(f"pruning {teacher.name} ×{teacher.scale} to {asked.text}")
        return pruned(teacher, asked.text, images, seed)
    student = changed(teacher, asked.text) if asked.kind == "changed" else opened(asked.text)
    if student.scale != teacher.scale:
        raise NetworkError(
            f"the student enlarges ×{student.scale} and its teacher ×{teacher.scale}; give a student for "
            f"×{teacher.scale}"
        )
    if asked.kind == "changed" or looks_like_call(asked.text) or asked.text in own.names():
        say(f"{take_over(student, teacher):.0%} of the student's parameters begin as the teacher's")
    return student


def pruned(network: Network, budget: str, images: PackedImages, seed: int) -> Network:
    """A calibrated cut of a network, proven."""
    request = Request(
        budget=budget,
        method="calibrated",
        criterion="l2",
        allocation=None,
        round_to=1,
        protect=(),
        seed=seed,
    )
    return prune(network, request, images).network
