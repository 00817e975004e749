"""Pages that are collected when the site is built: a card of every pruning method, and the help of every command.

`mkdocs.yml` names this file as a hook; `python docs/collect.py` prints the table of methods.
"""

import contextlib
import importlib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

METHODS = Path(__file__).parents[1] / "src" / "espalier" / "methods"


@dataclass(frozen=True)
class Card:
    """The `card.md` of one method."""

    name: str
    text: str

    @property
    def summary(self) -> str:
        """The first paragraph, on one line."""
        body = self.text.split("\n", 1)[1] if self.text.startswith("# ") else self.text
        return " ".join(body.strip().split("\n\n", 1)[0].split())

    @property
    def origin(self) -> str:
        """What stands beside "Origin" in the card's table, empty without."""
        found = re.search(r"^\|\s*(?:Origin|Source)\s*\|\s*(.+?)\s*\|\s*$", self.text, re.MULTILINE)
        return found[1] if found else ""


def cards(folder: Path = METHODS) -> list[Card]:
    """One for every method that has a card, by name."""
    return [
        Card(path.parent.name, path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*/card.md"))
    ]


def index(found: list[Card]) -> str:
    """The page that lists the methods."""
    rows = [f"| [{card.name}]({card.name}.md) | {card.summary} | {card.origin} |" for card in found]
    return "\n".join(
        [
            "# Methods",
            "",
            "`espalier compress --method NAME` takes any of these; each is one folder of `src/espalier/methods`, and",
            "a new one is found by its name. The cards say where a method comes from, where it differs from the",
            "paper, and what was measured.",
            "",
            "| method | | origin |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def options(name: str) -> str:
    """What only this method can be told, as a table; empty where there is nothing."""
    model = getattr(importlib.import_module(f"espalier.methods.{name}"), "OPTIONS", None)
    if model is None:
        return ""
    lines = [
        f"| `--options.{key}` | {'' if field.default is None else f'`{field.default}`'} | {_cell(field.description)} |"
        for key, field in model.model_fields.items()
    ]
    return "\n".join(["", "## All options", "", "| option | default | |", "|---|---|---|", *lines, ""])


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def commands() -> str:
    """The help of every command, as the program prints it."""
    from rich.console import Console

    from espalier.cli import COMMANDS, build

    parts = ["# Commands\n\nWhat `espalier COMMAND --help` says."]
    for verb in COMMANDS:
        written = io.StringIO()
        console = Console(file=written, width=80, no_color=True)
        with contextlib.redirect_stdout(io.StringIO()):
            build().help_print([verb], console=console)
        text = "\n".join(line.rstrip() for line in written.getvalue().splitlines()).partition(
            "\nEvery command"
        )[0]
        parts.append(f"## {verb}\n\n```text\n{text.strip()}\n```")
    return "\n\n".join(parts) + "\n"


def on_config(config: "MkDocsConfig", **_: Any) -> "MkDocsConfig":
    """Put the methods into the navigation, and pages that it does not name under "Measured"."""
    named = re.findall(r"[\w/-]+\.md", str(config.nav))
    cards_of = [{card.name: f"methods/{card.name}.md"} for card in cards()]
    more = {
        "Methods": [{"All methods": "methods/index.md"}, *cards_of],
        "Measured": [
            path.name for path in sorted(Path(config.docs_dir).glob("*.md")) if path.name not in named
        ],
    }
    config.nav = [
        {title: [*pages, *more[title]] if title in more else pages for title, pages in entry.items()}
        for entry in config.nav or []
    ]
    return config


def on_files(files: "Files", config: "MkDocsConfig", **_: Any) -> "Files":
    """Add the collected pages."""
    from mkdocs.structure.files import File

    found = cards()
    pages = {f"methods/{card.name}.md": card.text + options(card.name) for card in found}
    for path, text in {**pages, "methods/index.md": index(found), "commands.md": commands()}.items():
        files.append(File.generated(config, path, content=text))
    return files


if __name__ == "__main__":
    print(index(cards()))
