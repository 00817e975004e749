"""The report of one run in Markdown."""

from espalier.report.folder import PAGE, Run
from espalier.report.rows import markdown, rows
from espalier.report.summary import conditions, cut, sentence, title, training


def render(run: Run) -> str:
    """Summary, table, what was cut, settings and environment."""
    table = rows(run)
    parts = [
        f"# {title(run)}",
        sentence(run),
        markdown(table) if table else "",
        conditions(run, compared=False),
        _cut(run),
        f"## Training\n\n{training(run.log)}" if run.log else "",
        _facts("Settings", run.config),
        _facts("Environment", run.environment),
        f"Pictures and curves: [{PAGE}]({PAGE}).",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _cut(run: Run) -> str:
    if run.plan is None:
        return ""
    lines = "\n".join(f"- {line}" for line in run.plan.explain().splitlines())
    return f"## What was cut\n\n{cut(run)}\n\n{lines}"


def _facts(heading: str, facts: dict[str, object]) -> str:
    if not facts:
        return ""
    return f"## {heading}\n\n" + "\n".join(f"- {key}: `{value}`" for key, value in facts.items())
