"""Draw a training's loss and PSNR from its log: python benchmarks/curve.py RUN/log.jsonl curve.svg"""

import sys
from pathlib import Path

from espalier.training.log import Point, read_log

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 640, 260, 88, 20, 34


def main() -> None:
    source, target = (Path(word) for word in sys.argv[1:3])
    target.write_text(svg(read_log(source)), encoding="utf-8")


def svg(points: list[Point]) -> str:
    """Loss on the left axis, PSNR of the validation images on the right one."""
    losses = [(p.step, p.losses["total"]) for p in points if "total" in p.losses]
    scores = [(p.step, p.scores["psnr"]) for p in points if "psnr" in p.scores]
    usual = sorted(value for _, value in losses)
    low, high = usual[0] * 0.98, usual[int(len(usual) * 0.97)]
    last = max(step for step, _ in losses)
    parts = [
        line([(s, min(v, high)) for s, v in losses], last, low, high, "#b8b8b8", "loss", LEFT - 8, "end")
    ]
    if scores:
        values = [value for _, value in scores]
        margin = (max(values) - min(values)) * 0.05 + 0.01
        ends = min(values) - margin, max(values) + margin
        parts.append(line(scores, last, *ends, "#c0392b", "dB", WIDTH - LEFT + 8, "start"))
    middle, base = WIDTH / 2, HEIGHT - 8
    parts.append(f'<text x="{middle}" y="{base}" text-anchor="middle">steps, to {last}</text>')
    style = 'font-family="sans-serif" font-size="12"'
    box = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
    return f"<svg {box} {style}>{''.join(parts)}</svg>\n"


def line(
    points: list[tuple[int, float]],
    last: int,
    low: float,
    high: float,
    colour: str,
    unit: str,
    x: float,
    anchor: str,
) -> str:
    """A polyline, and the two ends of its axis."""

    def across(step: float) -> float:
        return LEFT + (WIDTH - 2 * LEFT) * step / last

    def up(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)

    path = " ".join(f"{across(step):.1f},{up(value):.1f}" for step, value in points)
    ends = "".join(
        f'<text x="{x}" y="{up(value):.0f}" fill="{colour}" text-anchor="{anchor}">{value:.4g} {unit}</text>'
        for value in (low, high)
    )
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>{ends}'


if __name__ == "__main__":
    main()
