"""The command line: thin commands over recipes, one message for every mistake."""

import contextlib
import errno
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cyclopts

from espalier import __version__
from espalier.errors import EspalierError
from espalier.heap import reuse_large_blocks

COMMANDS = {
    "inspect": "Show which channels of a network can be pruned, and what it costs.",
    "evaluate": "Measure PSNR, SSIM and cost of a network on a folder of images.",
    "compress": "Make a network smaller to a budget, recover its quality, write a run folder.",
    "sweep": "Compress by several methods to several budgets, and compare the results on one page.",
    "upscale": "Enlarge images and folders of images with a network or an exported file.",
    "export": "Write a network as ONNX, pt2 or a plain checkpoint, and compare the file with torch.",
    "report": "Write the report of a run again, or one page that compares several runs.",
    "train": "Train a network on folders of images; under torchrun on many machines.",
    "distill": "Let a large network teach a smaller one; under torchrun on many machines.",
    "compress-gan": "Distil a generator, prune it while it goes on learning, measure what became of it.",
    "demo": "Compress a small bundled network on bundled photographs, offline, in minutes.",
}
"""Verb to help line; verb `x-y` is `command` of `espalier.recipes.x_y`, imported only when it is run."""

EPILOGUE = (
    "Every command takes `--config FILE` (YAML, its keys are the command's flags; flags on the command line "
    "win) and `--debug` (show the traceback of an error)."
)


@dataclass(frozen=True)
class Invocation:
    """A command line without the flags that belong to every command."""

    tokens: tuple[str, ...]
    config: Path | None
    debug: bool


def split(arguments: Sequence[str]) -> Invocation:
    """Take `--debug` and `--config FILE` out of a command line; everything after `--` is left alone.

    Raises:
        EspalierError: `--config` has no value.
    """
    tokens: list[str] = []
    config: Path | None = None
    debug = False
    words = iter(arguments)
    for word in words:
        if word == "--":
            tokens += [word, *words]
        elif word == "--debug":
            debug = True
        elif word == "--config" or word.startswith("--config="):
            value = word.partition("=")[2] or next(words, "")
            if not value:
                raise EspalierError("--config needs a file: --config FILE")
            config = Path(value)
        else:
            tokens.append(word)
    return Invocation(tuple(tokens), config, debug)


def build(config: Path | None = None) -> cyclopts.App:
    """Put the commands together; nothing heavy is imported.

    Raises:
        EspalierError: `config` is no YAML file.
    """
    app = cyclopts.App(
        name="espalier",
        help="Make trained image super-resolution networks smaller and faster.",
        help_format="plaintext",
        help_epilogue=EPILOGUE,
        version=__version__,
        config=() if config is None else (_yaml(config),),
        result_action="return_value",
        default_parameter=cyclopts.Parameter(negative_iterable=()),  # an empty list is never wanted
    )
    for verb, line in COMMANDS.items():
        app.command(f"espalier.recipes.{verb.replace('-', '_')}:command", name=verb, help=line)
    return app


def _yaml(path: Path) -> Any:
    import yaml

    if not path.is_file():
        raise EspalierError(f"there is no configuration file {path}; give --config an existing YAML file")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise EspalierError(f"{path} is not a YAML file: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise EspalierError(f"{path} holds {type(content).__name__}; expected lines `flag: value`")
    return cyclopts.config.Yaml(path, must_exist=True, use_commands_as_keys=False)


def run(invocation: Invocation) -> None:
    """Run one command; errors come out as exceptions."""
    app = build(invocation.config)
    app(invocation.tokens, exit_on_error=False, print_error=False)


def main() -> None:
    """Run `espalier` on the process's arguments: exit 0, or one message and 2 (130 when interrupted)."""
    warnings.showwarning = _show_warning
    reuse_large_blocks()
    debug = "--debug" in sys.argv
    try:
        run(split(sys.argv[1:]))
    except KeyboardInterrupt:
        _fail("interrupted", 130, debug)
    except BrokenPipeError:
        # The reader (head, less) has gone: Python would complain once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        message = describe(error)
        if message is None:
            raise
        _fail(message, getattr(error, "exit_code", 2), debug)


def describe(error: Exception) -> str | None:
    """The one message for an error that a person can mend; None for a defect of ours."""
    if isinstance(error, cyclopts.CycloptsError):
        return _settings_mistakes(error.__cause__) or str(error).strip()
    if isinstance(error, EspalierError):
        return str(error).strip()
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out of memory; try --tile 256, smaller images or a smaller batch"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EACCES, errno.EROFS):
        return (
            f"{error.strerror}: {error.filename or 'no file named'}; choose another place or free some space"
        )
    return None


def _settings_mistakes(cause: BaseException | None) -> str:
    """All that pydantic found wrong with the flags, in one line; empty for other causes."""
    found = getattr(cause, "errors", None)
    if not callable(found):
        return ""
    listed: Any = found()
    flags = ("--" + ".".join(map(str, mistake["loc"])).replace("_", "-") for mistake in listed)
    return "; ".join(f"{flag} is {m['input']!r}: {m['msg'].lower()}" for flag, m in zip(flags, listed))


def _fail(message: str, code: int, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    with contextlib.suppress(OSError):
        print(f"espalier: {message}", file=sys.stderr)
    raise SystemExit(code)


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    if not issubclass(category, DeprecationWarning | FutureWarning):
        print(f"espalier: warning: {message}", file=sys.stderr)
