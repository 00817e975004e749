"""Choosing among runs: the smallest network that loses no more than a given PSNR."""

from collections.abc import Sequence
from dataclasses import dataclass

from espalier.report.folder import Run
from espalier.report.rows import Row, change, find, result, rows


@dataclass(frozen=True)
class Candidate:
    """What one run made, beside its dense network; both with PSNR and MACs."""

    name: str
    dense: Row
    made: Row

    @property
    def loss(self) -> float:
        """In dB; negative where the smaller network is better."""
        return (self.dense.psnr or 0.0) - (self.made.psnr or 0.0)

    @property
    def size(self) -> tuple[float, float]:
        """MACs, then parameters."""
        return self.made.macs or 0.0, self.made.params or 0.0

    def told(self) -> str:
        """Share of the MACs, and both PSNRs."""
        lost = change(self.made.psnr or 0.0, self.dense.psnr or 0.0, 2)
        verb = "gains" if lost.startswith("−") else "loses"
        return (
            f"{verb} {lost[1:]} dB ({self.dense.psnr:.2f} → {self.made.psnr:.2f}) "
            f"at {(self.made.macs or 0.0) / (self.dense.macs or 1.0):.1%} of the MACs"
        )


def candidates(runs: Sequence[Run]) -> list[Candidate]:
    """The runs that were measured."""
    found = ((run.name, rows(run)) for run in runs)
    pairs = ((name, find(table, "dense"), result(table)) for name, table in found)
    return [
        Candidate(name, dense, made)
        for name, dense, made in pairs
        if dense is not None and made is not None and _measured(dense) and _measured(made)
    ]


def smallest(among: Sequence[Candidate], max_loss: float) -> Candidate | None:
    """The one with the fewest MACs, then parameters, of those that lose at most `max_loss` dB."""
    good = [candidate for candidate in among if candidate.loss <= max_loss + 1e-9]
    return min(good, key=lambda candidate: candidate.size, default=None)


def verdict(among: Sequence[Candidate], max_loss: float) -> str:
    """The choice in a sentence; where there is none, how near the nearest comes."""
    if not among:
        return "None of these runs has been measured."
    best = smallest(among, max_loss)
    if best is not None:
        return f"The smallest that loses at most {max_loss:g} dB is {best.name}: it {best.told()}."
    nearest = min(among, key=lambda candidate: candidate.loss)
    who = f"None of the {len(among)} loses" if len(among) > 1 else "It does not lose"
    return f"{who} at most {max_loss:g} dB: the nearest, {nearest.name}, {nearest.told()}."


def _measured(row: Row) -> bool:
    return row.psnr is not None and bool(row.macs)
