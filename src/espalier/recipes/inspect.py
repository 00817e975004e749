"""`espalier inspect`: what can be pruned in a network, proven, and what the network costs."""

import json as json_format
from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from espalier import channels
from espalier.channels import ChannelGroup, Channels
from espalier.costs import Cost, count
from espalier.networks.network import Network
from espalier.recipes.console import output, waiting
from espalier.recipes.measure import lr_size
from espalier.recipes.opening import opened

EXAMPLE = (24, 32)
"""Height and width of the image that networks are traced with; unequal, so that the axes stay apart."""

STYLES = {"exact": "green", "normalised": "cyan", "rigid": "yellow", "pinned": "dim", "unproven": "magenta"}


def command(
    network: str,
    *,
    scale: int | None = None,
    size: str | None = None,
    heads: bool = False,
    prove: bool = True,
    json: bool = False,
) -> None:
    """Show which channels of a network can be pruned, and what it costs.

    Parameters
    ----------
    network
        A checkpoint file, a constructor such as "edsr(scale=2, blocks=16)", or "package.module:factory".
    scale
        For networks of several scales: the one wanted.
    size
        Input for which cost is counted, width x height as 964x540; by default that of a 1280 x 720 output.
    heads
        Offer whole attention heads instead of the widths inside them.
    prove
        Cut and compare every group; without it, groups are only traced.
    json
        Print JSON instead of tables.
    """
    counted = lr_size(size)
    loaded = opened(network, scale)
    with waiting("tracing and proving" if prove else "tracing"):
        found = trace(loaded, heads=heads, prove=prove)
        cost = count(loaded, counted)
    if json:
        print(json_format.dumps(describe(loaded, found, cost), indent=1))
    else:
        show(loaded, found, cost, output())


def trace(network: Network, *, heads: bool = False, prove: bool = True) -> Channels:
    """The channel groups of a network, traced on a small random image."""
    image = channels.sample_inputs(3, *EXAMPLE)
    return channels.analyse(network.body, network.encode(image), heads=heads, prove=prove)


def describe(network: Network, found: Channels, cost: Cost) -> dict[str, Any]:
    """Everything that the tables show, for JSON."""
    return {
        "network": network.name,
        "scale": network.scale,
        "cost": cost.to_dict(),
        "share": found.share,
        "statuses": dict(Counter(group.status for group in found.groups)),
        "groups": [_group(group) for group in found.groups],
        "unknown": [str(unknown) for unknown in found.unknown],
    }


def _group(group: ChannelGroup) -> dict[str, Any]:
    return {
        "name": group.name,
        "channels": group.channels,
        "status": group.status,
        "reason": group.reason,
        "pattern": group.pattern,
        "members": [{"tensor": member.tensor, "dim": member.dim} for member in group.members],
    }


def show(network: Network, found: Channels, cost: Cost, console: Console) -> None:
    """Print the groups, then what the network costs."""
    table = Table(
        "Group",
        "Channels",
        "Members",
        "Pattern",
        "Status",
        "Why",
        box=None,
        header_style="bold",
        pad_edge=False,
    )
    for column in (1, 2):
        table.columns[column].justify = "right"
    for alike in _alike(found.groups):
        group = alike[0]
        status = f"[{STYLES.get(group.status, '')}]{group.status}[/]"
        name = escape(group.name) + (f" [dim]and {len(alike) - 1} alike[/]" if len(alike) > 1 else "")
        counts = str(group.channels), str(len(group.members))
        table.add_row(name, *counts, group.pattern, status, escape(group.reason))
    console.print(table)
    for unknown in found.unknown:
        console.print(f"[yellow]unknown:[/] {escape(str(unknown))}")
    counts = ", ".join(f"{n} {status}" for status, n in Counter(g.status for g in found.groups).items())
    share = f"{found.share:.1%} of the parameters lie in proven groups"
    console.print(f"\n{len(found.groups)} groups ({counts}); {share}")
    height, width = cost.input_size
    console.print(
        f"{network.name} ×{network.scale}: {cost.params:,} parameters; for {width} × {height} input "
        f"{cost.macs / 1e9:.2f} G MACs, {cost.activations / 1e6:.1f} M activations, {cost.convs} convolutions"
    )


def _alike(groups: Iterable[ChannelGroup]) -> list[list[ChannelGroup]]:
    """Groups in order; neighbours that begin in the same tensor and differ in nothing else together."""

    def shown(group: ChannelGroup) -> tuple[object, ...]:
        name = group.name.partition("#")[0]
        return name, group.channels, len(group.members), group.status, group.reason, group.pattern

    return [list(same) for _, same in groupby(groups, shown)]
