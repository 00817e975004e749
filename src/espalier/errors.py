"""Errors that a person can mend: one message each, with what, where, got, expected and what to do."""


class EspalierError(Exception):
    """Base of all errors raised for wrong input; the command line prints it alone and exits with `exit_code`."""

    exit_code = 2


class ImageError(EspalierError):
    """An image, or a folder of images, cannot be used."""


class NetworkError(EspalierError):
    """A network cannot be loaded, rebuilt or run."""


class PlanError(EspalierError):
    """A pruning plan does not fit the network, or a budget cannot be met."""


class OutputError(EspalierError):
    """A result cannot be written."""


class MissingExtraError(EspalierError):
    """An optional dependency is needed and absent."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed: pip install 'espalier[{extra}]'"
        )
