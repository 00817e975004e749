"""What the documentation says can be typed, opened and run."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from espalier import cli
from espalier.networks.family import save_plain
from espalier.networks.load import load
from tests.recipes.conftest import own_cache, write_photos

__all__ = ["own_cache"]

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES += sorted((ROOT / "src" / "espalier" / "methods").glob("*/card.md"))
COLLECTED = {"methods/index.md", "commands.md"} | {
    f"methods/{path.parent.name}.md" for path in PAGES if path.name == "card.md"
}
"""Pages that `docs/collect.py` adds to the site."""
PHOTO_BYTES = 300 << 10

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def typed(page: Path) -> Iterator[list[str]]:
    """The words of every `espalier ...` line that stands in a block of commands."""
    text = page.read_text(encoding="utf-8")
    fenced = re.findall(r"^```(?:sh|bash)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    indented = re.findall(r"^(?: {4}\S.*\n)+", text, re.MULTILINE)
    for line in "\n".join((*fenced, *indented)).replace("\\\n", " ").splitlines():
        found = re.search(r"(?:^|&& |-m )espalier (\w.*)$", line.strip())
        if found:
            yield shlex.split(found[1], comments=True)


def mentioned(page: Path) -> list[str]:
    """All code between single backticks."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose)


def flags(verb: str) -> set[str]:
    """All flags that a command takes."""
    arguments = cli.build()[verb].assemble_argument_collection()
    return {name for argument in arguments for name in argument.names} | {"--config", "--debug", "--help"}


@pytest.fixture(scope="module")
def every_flag() -> set[str]:
    scripts = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "benchmarks").glob("*.py"))
    ours = set(re.findall(r'"(--[a-z-]+)"', scripts)) | {"--max-restarts", "--nproc-per-node"}
    return ours.union(*(flags(verb) for verb in cli.COMMANDS))


@each_page
def test_commands_can_be_typed(page: Path) -> None:
    for words in typed(page):
        invocation = cli.split(words)
        if invocation.config:  # what is required may stand there
            assert {word for word in words if word.startswith("--")} <= flags(words[0])
        elif "--help" not in words:
            cli.build().parse_args(invocation.tokens, exit_on_error=False, print_error=False)


def test_a_wrong_command_is_found_out(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\nespalier compress a.pth --dta b\n```\n\n    espalier compres a.pth\n")
    assert len(list(typed(page))) == 2
    with pytest.raises(Exception, match="Did you mean --data"):
        test_commands_can_be_typed(page)


@each_page
def test_flags_that_are_spoken_of_exist(page: Path, every_flag: set[str]) -> None:
    for code in mentioned(page):
        verb = re.match(r"espalier ([a-z][a-z_-]*)", code)
        assert verb is None or verb[1] in cli.COMMANDS, code
        if code.startswith(("torchrun", "pip", "python")):
            continue
        known = flags(verb[1]) if verb else every_flag
        for flag in re.findall(r"(?<!\S)--[a-z][a-z-]*", code):
            assert flag in known, f"{flag} in `{code}`"


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if urlsplit(target).scheme in ("http", "https"):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        if page.is_relative_to(ROOT / "docs") and path in COLLECTED:
            continue
        assert place.exists(), f"{target} in {page}"
        if anchor and anchor not in ("only-light", "only-dark"):
            assert anchor in anchors(place), f"{target} in {page}"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_pictures_are_light_and_used() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for picture in (ROOT / "docs" / "images").iterdir():
        assert picture.stat().st_size <= PHOTO_BYTES, picture
        assert picture.name in text or picture.name in (ROOT / "mkdocs.yml").read_text(), picture


def run(code: str) -> None:
    """Run an example, with fewer steps of training and without measuring time."""
    code = re.sub(r"(steps|recover)=\d+", r"\1=2", code).replace("Settings(", "Settings(timing=False, ")
    exec(compile(code, "example", "exec"), {})


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which a small network, own code and pictures have the names that the examples use."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mynet.py").write_text(next(iter(blocks(ROOT / "docs" / "own-network.md", "python"))))
    write_photos(tmp_path / "photos", 4)
    write_photos(tmp_path / "Set5", 1)
    save_plain(load("rnet(scale=4, blocks=1, channels=8)"), tmp_path / "rnet_x4.pth")
    return tmp_path


@pytest.mark.usefixtures("own_cache")
def test_the_examples_in_python_run(place: Path) -> None:
    run("".join(blocks(ROOT / "docs" / "python.md", "python")))
    assert (place / "half.onnx").is_file()
    assert (place / "runs" / "sweep" / "index.html").is_file()


@pytest.mark.usefixtures("own_cache")
def test_the_examples_of_the_readme_run(place: Path) -> None:
    found = blocks(ROOT / "README.md", "python")
    assert found
    run("".join(found))
    assert any(place.rglob("*.safetensors"))


def test_the_network_of_ones_own_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    import torch

    (code,) = blocks(ROOT / "docs" / "own-network.md", "python")
    (tmp_path / "mynet.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    scope: dict = {"__name__": "mynet"}
    exec(code, scope)
    torch.save(scope["MyNet"]().state_dict(), "mynet.pth")
    try:
        assert load("mynet:trained").scale == 2
    finally:
        sys.modules.pop("mynet", None)
