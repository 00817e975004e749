"""All that changes while a network is trained, and that a checkpoint holds."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from espalier import surgery
from espalier.methods.protocol import Context, Method
from espalier.networks.network import Network, body_of, channels_last_
from espalier.optimizers import build
from espalier.plan import PrunePlan
from espalier.training.distributed import Workers
from espalier.training.ema import Ema
from espalier.training.errors import TrainingError
from espalier.training.resuming import check_settings
from espalier.training.schedule import Plateau
from espalier.training.settings import TrainSettings


@dataclass
class Session:
    """One training under way."""

    network: nn.Module
    forward: nn.Module
    """The network as the loop calls it: compiled where asked."""
    method: Method
    settings: TrainSettings
    workers: Workers
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    plateau: Plateau
    ema: Ema | None = None
    step: int = 0
    """Steps done."""
    done: bool = False
    best: float = -math.inf
    plans: list[PrunePlan] = field(default_factory=list)

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    @property
    def trained(self) -> list[nn.Parameter]:
        """All parameters that the optimizer moves."""
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    @property
    def kept(self) -> nn.Module:
        """What is validated and kept: the mean of the weights where there is one."""
        return self.network if self.ema is None else self.ema.network

    def context(self) -> Context:
        """What methods are told when everything is in place."""
        ema = None if self.ema is None else self.ema.network
        return _context(self.network, self.settings, self.workers, ema)

    def finish(self) -> None:
        """Put the mean into the network and hand it back plain."""
        if self.ema is not None:
            self.ema.copy_to(self.network)
        self.network.to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
        self.method.finish()
        self.network.eval()

    def cut_(self, plan: PrunePlan) -> None:
        """Surgery on the network, the optimizer and the mean."""
        surgery.apply_to_optimizer_(self.optimizer, body_of(self.network), plan)
        for network in {id(n): n for n in (self.network, self.kept)}.values():
            surgery.apply_(body_of(network), plan)
            if isinstance(network, Network):
                network.plans = (*network.plans, plan)
                network.masks = surgery.apply_to_state(network.masks, plan)
        self.plans.append(plan)
        if self.settings.compile != "none":
            torch.compiler.reset()  # torch gives up on a network that it compiled for many shapes
        self.forward = wrap(self.network, self.settings)

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "done": self.done,
            "best": self.best,
            "settings": dataclasses.asdict(self.settings),
            "plans": [plan.to_json() for plan in self.plans],
            "network": self.network.state_dict(),
            "ema": None if self.ema is None else self.ema.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "plateau": self.plateau.state_dict(),
            "method": self.method.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Repeat the cuts, then take everything over.

        Raises:
            TrainingError: the checkpoint is of another network or other settings.
        """
        try:
            check_settings(state["settings"], self.settings, state["step"])
            for text in state["plans"]:
                self.cut_(PrunePlan.from_json(text))
            self.network.load_state_dict(state["network"])
            if self.ema is not None:
                self.ema.network.load_state_dict(state["ema"] or state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.scaler.load_state_dict(state["scaler"])
            self.plateau.load_state_dict(state["plateau"])
            self.method.load_state_dict(state["method"])
        except (KeyError, RuntimeError, ValueError) as error:
            message = f"the checkpoint does not fit this network, method and settings: {error}"
            raise TrainingError(message) from error
        self.step, self.done, self.best = state["step"], state["done"], state["best"]


def begin(network: nn.Module, settings: TrainSettings, method: Method, workers: Workers) -> Session:
    """Everything a training needs, before its first step."""
    method.start(_context(network, settings, workers))
    trained = [p for p in network.parameters() if p.requires_grad] + list(method.parameters())
    if not trained:
        raise TrainingError("the network has no parameters to train")
    fp16 = settings.precision == "fp16"
    workers.share_([*network.parameters(), *network.buffers()])
    return Session(
        network=network,
        forward=wrap(network, settings),
        method=method,
        settings=settings,
        workers=workers,
        optimizer=build(
            settings.optimizer,
            trained,
            settings.steps,
            lr=settings.lr,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
        ),
        scaler=torch.amp.GradScaler(trained[0].device.type, enabled=fp16),
        plateau=Plateau(settings),
        ema=Ema(network, settings.ema) if settings.ema else None,
    )


def _context(
    network: nn.Module, settings: TrainSettings, workers: Workers, ema: nn.Module | None = None
) -> Context:
    average = workers.average_
    return Context(network, settings.steps, settings.seed, workers.rank, workers.count, average, ema)


def wrap(network: nn.Module, settings: TrainSettings) -> nn.Module:
    """Lay the weights out, and compile the network where asked."""
    if settings.channels_last:
        channels_last_(network)
    if settings.compile == "none":
        return network
    return torch.compile(network, mode=settings.compile)  # pyright: ignore[reportReturnType]
