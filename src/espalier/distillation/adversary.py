"""A discriminator beside the network that is trained, as a method: the two take turns, step by step."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from espalier.distillation.adversarial import KINDS, Judged, certainty
from espalier.distillation.balance import Balance
from espalier.methods.protocol import Batch, Context, Idle
from espalier.networks import discriminators
from espalier.training.errors import TrainingError

NAME = "gan"


@dataclass(frozen=True)
class AdversarySettings:
    """Plain values; the recipe makes them from its config model."""

    weight: float = 1e-3
    """Of the adversarial term among the generator's losses."""
    kind: str = "vanilla"
    discriminator: str = "srgan"
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the discriminator: channels, norm."""
    warmup: int = 0
    """Steps in which the generator learns from its other losses alone, and the discriminator rests."""
    betas: tuple[float, float] = (0.9, 0.999)
    r1: float = 0.0
    """Weight of the penalty on the discriminator's gradient at real images (Mescheder et al. 2018, R1)."""
    r1_every: int = 16
    """Steps between two penalties, which then count as many times (Karras et al. 2020, lazy regularisation)."""
    patience: int = 500
    """Steps of imbalance before it is called a collapse."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise TrainingError(f"no adversarial loss is called {self.kind!r}; there are {', '.join(KINDS)}")


class Adversary(Idle):
    """Adds the term "gan" to the losses and trains the discriminator after each step of the generator."""

    def __init__(
        self,
        settings: AdversarySettings,
        lr: Callable[[int], float],
        learned: Mapping[str, Any] | None = None,
    ) -> None:
        """`learned` is the state of an adversary whose training this one goes on with."""
        self.settings = settings
        self.learned = learned
        self.kind = KINDS[settings.kind]
        self.lr = lr
        self.balance = Balance(settings.patience)
        self.pairs: list[tuple[Tensor, Tensor]] = []
        self.paid = 0.0

    def start(self, context: Context) -> None:
        self.context = context
        device = next(context.network.parameters()).device
        with torch.random.fork_rng():
            torch.manual_seed(context.seed + 1)  # all workers begin with one discriminator
            self.judge = discriminators.build(self.settings.discriminator, **self.settings.options).to(device)
        self.optimizer = torch.optim.Adam(self.judge.parameters(), betas=self.settings.betas)
        if self.learned is not None:
            self.load_state_dict(self.learned)

    def before_step(self, step: int) -> None:
        del step
        self.pairs = []

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        if batch.step < self.settings.warmup:
            return {NAME: batch.output.new_zeros(())}
        self.pairs.append((batch.hr, batch.output.detach()))
        self.judge.requires_grad_(False)
        made = self.judge(batch.output)
        real = self.judge(batch.hr) if self.kind.relative else made
        return {NAME: self.settings.weight * self.kind.generator(Judged(real, made, self._mean))}

    def after_step(self, step: int) -> None:
        if not self.pairs:
            return
        self.judge.requires_grad_(True)
        self.optimizer.zero_grad()
        seen = [self._learn(real, made) for real, made in self.pairs]
        if self.settings.r1 and step % self.settings.r1_every == 0:
            self._penalise()
        _average_gradients_(self.judge.parameters(), self.context)
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr(step)
        self.optimizer.step()
        values = torch.stack(seen).mean(0)
        self.context.average([values])
        self.paid = values[3].detach()
        self.balance.see(step, values[:3])

    def facts(self) -> Mapping[str, float]:
        seen = self.balance.seen
        return {"D(real)": seen.real, "D(made)": seen.made, "D loss": float(self.paid)}

    def state_dict(self) -> dict[str, Any]:
        return {
            "judge": self.judge.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "balance": self.balance.state_dict(),
            "paid": float(self.paid),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.judge.load_state_dict(state["judge"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.balance.load_state_dict(state["balance"], next(self.judge.parameters()).device)
        self.paid = state["paid"]

    def _learn(self, real: Tensor, made: Tensor) -> Tensor:
        """One part's gradients; gives D(real), D(made), contrast and loss."""
        judged = Judged(self.judge(real), self.judge(made), self._mean)
        loss = self.kind.discriminator(judged)
        (loss / len(self.pairs)).backward()
        with torch.no_grad():
            contrast = made.std() / real.std().clamp_min(1e-6)
            return torch.stack([*certainty(self.kind, judged), contrast, loss.detach()])

    def _penalise(self) -> None:
        """Half the squared gradient of the logit at real images."""
        for real, _ in self.pairs:
            x = real.clone().requires_grad_()
            (slope,) = torch.autograd.grad(self.judge(x).sum(), x, create_graph=True)
            size = slope.square().sum((1, 2, 3)).mean()
            (self.settings.r1 / 2 * self.settings.r1_every / len(self.pairs) * size).backward()

    def _mean(self, logits: Tensor) -> Tensor:
        mean = logits.mean()
        return mean if self.context.workers == 1 else _Averaged.apply(mean, self.context)  # pyright: ignore[reportReturnType]


class _Averaged(torch.autograd.Function):
    """The mean over workers. Every worker's loss depends on every share, so gradients are averaged as well."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, context: Context) -> Tensor:
        ctx.context = context
        value = value.clone()
        context.average([value])
        return value

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return _Averaged.apply(grads[0], ctx.context), None  # pyright: ignore[reportReturnType]


def _average_gradients_(parameters: Iterable[nn.Parameter], context: Context) -> None:
    """Exchange all gradients at once."""
    if context.workers == 1:
        return
    grads: Sequence[Tensor] = [p.grad for p in parameters if p.grad is not None]
    together = torch.cat([grad.flatten() for grad in grads])
    context.average([together])
    for grad, mean in zip(grads, together.split([grad.numel() for grad in grads])):
        grad.copy_(mean.view(grad.shape))
