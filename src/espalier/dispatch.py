"""Standing between a network and torch's operators."""

from torch.utils._python_dispatch import TorchDispatchMode


class Mode(TorchDispatchMode):
    """torch's own, without its guard against compiled code, which is not run here.

    The guard wraps every operator's dispatch, and its first one imports torch's compiler, which takes seconds.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False
