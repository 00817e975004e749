"""What a run achieved, in one sentence."""

from pathlib import PurePath

from espalier.report.folder import Log, Run
from espalier.report.rows import Row, change, find, result, rows


def title(run: Run) -> str:
    """Name of the network and its scale, as a heading."""
    reference = str(run.config.get("network", run.name))
    name = run.metrics.get("network") or (PurePath(reference).stem if "(" not in reference else reference)
    scale = run.metrics.get("scale")
    return f"{name} ×{scale}" if scale and f"x{scale}" not in name.lower() else str(name)


def sentence(run: Run) -> str:
    """What was cut and what it cost, from the measured values alone."""
    table = rows(run)
    dense, made = find(table, "dense"), result(table)
    if dense is None or made is None:
        return _trained(run) or "This run has not been measured yet."
    where = str(run.metrics.get("set", "the test images"))
    parts = [_cut(dense, made), _speed(dense, made), _quality(dense, made, where)]
    return ", ".join(part for part in parts if part) + "." + _zeros(made)


def _trained(run: Run) -> str:
    """For a run that only trained: how long, and the validation's last and best PSNR."""
    scores = [record["scores"]["psnr"] for record in run.log if "psnr" in record.get("scores", {})]
    if not scores:
        return ""
    steps = int(max(record.get("step", 0) for record in run.log))
    last, best = scores[-1], max(scores)
    return f"Trained for {steps:,} steps: {last:.2f} dB in validation at the end, {best:.2f} dB at best."


def _cut(dense: Row, made: Row) -> str:
    if made.sparsity:
        return f"The {made.version} network has {made.sparsity:.1%} zeros among its weights" + _smaller(
            dense, made
        )
    shares = [
        f"{made_value / dense_value:.1%} of the {noun}"
        for noun, dense_value, made_value in (
            ("MACs", dense.macs, made.macs),
            ("parameters", dense.params, made.params),
        )
        if dense_value and made_value is not None
    ]
    return f"The {made.version} network" + (f" keeps {' and '.join(shares)}" if shares else "")


def _smaller(dense: Row, made: Row) -> str:
    return f" and takes {made.stored / dense.stored:.1%} of the bytes" if made.stored and dense.stored else ""


def _zeros(made: Row) -> str:
    """What nobody should expect of unstructured zeros."""
    if not made.sparsity:
        return ""
    return (
        " Single zeros make the file smaller and not the network faster: common CPUs and GPUs multiply by zero like "
        "by any number, and the MACs count them" + (", as the measured time shows." if made.ms else ".")
    )


def _speed(dense: Row, made: Row) -> str:
    if not dense.ms or not made.ms:
        return ""
    ratio = dense.ms / made.ms
    return f"runs {ratio:.2f}× as fast" if ratio >= 1 else f"runs at {ratio:.2f}× the speed"


def _quality(dense: Row, made: Row, where: str) -> str:
    if dense.psnr is None or made.psnr is None:
        return ""
    difference = change(dense.psnr, made.psnr, 2)
    if float(difference[1:]) == 0:
        return f"and keeps its {dense.psnr:.2f} dB on {where}"
    verb = "gains" if difference[0] == "+" else "loses"
    return f"and {verb} {difference[1:]} dB on {where} ({dense.psnr:.2f} → {made.psnr:.2f})"


def conditions(run: Run, compared: bool = True) -> str:
    """How the numbers were taken: set, colour space, input size; `compared`: each stands above its change."""
    count = len(next(iter(run.metrics.get("rows", {}).values()), {}).get("images", ()))
    parts = []
    if run.metrics:
        plane = "Y" if run.metrics.get("y", True) else "RGB"
        where = run.metrics.get("set", "the test set")
        parts.append(f"PSNR and SSIM on {plane}, mean over {count} images of {where}.")
    size = run.cost.get("input_size")
    if size:
        height, width = size
        parts.append(f"MACs and activations for an input of {width} × {height}.")
    timed = run.cost.get("latency_size")
    if timed:
        height, width = timed
        device = run.environment.get("device", "this machine")
        parts.append(f"Time and memory for an input of {width} × {height} on {device}.")
    if parts and compared:
        parts.append("Small figures compare with the dense network.")
    return " ".join(parts)


def cut(run: Run) -> str:
    """How many channels and groups were cut."""
    if run.plan is None:
        return ""
    choices = run.plan.choices
    total, kept = sum(c.channels for c in choices), sum(len(c.kept) for c in choices)
    touched = sum(len(c.kept) < c.channels for c in choices)
    return f"{kept:,} of {total:,} channels stay; {touched} of {len(choices)} groups were cut."


def training(log: Log) -> str:
    """How many steps were done, and how fast."""
    steps = [record for record in log if "step" in record]
    if not steps:
        return ""
    rate = steps[-1].get("rate")
    return f"{int(steps[-1]['step']):,} steps" + (f", {rate:.2f} a second." if rate else ".")
