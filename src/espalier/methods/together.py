"""Several methods at once, as one."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from espalier.methods.protocol import Batch, Context, Method
from espalier.plan import PrunePlan


class Together:
    """Calls the hooks of all methods in their order; at most one of them may cut."""

    def __init__(self, *methods: Method) -> None:
        self.methods = methods

    def start(self, context: Context) -> None:
        for method in self.methods:
            method.start(context)

    def parameters(self) -> Iterable[nn.Parameter]:
        return [parameter for method in self.methods for parameter in method.parameters()]

    def ready(self, context: Context) -> None:
        for method in self.methods:
            method.ready(context)

    def before_step(self, step: int) -> None:
        for method in self.methods:
            method.before_step(step)

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        return {name: term for method in self.methods for name, term in method.losses(batch).items()}

    def after_backward(self, step: int) -> None:
        for method in self.methods:
            method.after_backward(step)

    def after_step(self, step: int) -> PrunePlan | None:
        plans = [method.after_step(step) for method in self.methods]
        asked = [plan for plan in plans if plan is not None]
        assert len(asked) < 2, "two methods cut at one step"
        return asked[0] if asked else None

    def done(self, step: int) -> bool:
        asked = [method.done(step) for method in self.methods]  # all of them, also after a yes
        return any(asked)

    def finish(self) -> None:
        for method in reversed(self.methods):
            method.finish()

    def facts(self) -> Mapping[str, float]:
        return {name: value for method in self.methods for name, value in method.facts().items()}

    def state_dict(self) -> dict[str, Any]:
        return {"methods": [method.state_dict() for method in self.methods]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for method, part in zip(self.methods, state["methods"], strict=True):
            method.load_state_dict(part)
