"""One door for every network: a file, a constructor reference, or a person's own code."""

from pathlib import Path

from espalier.networks import own
from espalier.networks.network import Base, Network
from espalier.networks.reference import parse


def load(reference: str | Path, *, scale: int | None = None) -> Network:
    """Load a network."""
    call = parse(str(reference))
    body = own.build(call.name, call.arguments)
    base = Base("own", call.name, call.arguments)
    return Network(body, name=call.name, scale=own.scale(call.name, call.arguments), base=base,
                   adapter=own.adapter(call.name, call.arguments))
