#!/usr/bin/env python3
"""Draws the ladder, the steps from plain loops to the finished engine, as an SVG bar chart.

  make demo && tools/ladder_svg.py build/ladder.json docs/ladder.svg

The JSON is {"model", "cpu", "threads", "steps": [{"name", "samples_per_second", "percent_of_peak"}, ...]}, slowest step first;
a step may have "batch" and "precision". Bars have the length of samples/s on a logarithmic scale, so equal gains look equal.
"""

import argparse
import json
import math
import pathlib
from xml.sax.saxutils import escape

WIDTH, ROW, TOP, LABEL, VALUES = 880, 34, 74, 210, 200  # pixels: page, one step, heading, names, figures to the right

STYLE = """
  text { font-family: system-ui, sans-serif; font-size: 13px; fill: #24292f }
  .title { font-size: 17px; font-weight: 600 }
  .note { fill: #57606a; font-size: 12px }
  .figure { font-variant-numeric: tabular-nums }
  .bar { fill: #4078c0 }
  .last { fill: #2f8f4e }
  .page { fill: #ffffff }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .note { fill: #8d96a0 } .page { fill: #0d1117 } .bar { fill: #5a94dd } .last { fill: #46b46c }
  }
"""


def bar_lengths(rates, longest):
    """Pixels of each bar: logarithmic, from a third of the slowest step (0) to the fastest (`longest`)."""
    low, high = math.log(min(rates) / 3), math.log(max(rates))
    return [longest * (math.log(rate) - low) / (high - low) for rate in rates]


def draw(ladder):
    """The SVG text of a ladder; ValueError when it has no steps."""
    steps = ladder["steps"]
    if not steps:
        raise ValueError("the ladder has no steps")
    rates = [step["samples_per_second"] for step in steps]
    lengths = bar_lengths(rates, WIDTH - LABEL - VALUES)
    height = TOP + ROW * len(steps) + 34
    threads = ladder["threads"]
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(ladder['model'])}: samples per second, step by step</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{height}" rx="8"/>',
        f'<text class="title" x="20" y="32">{escape(ladder["model"])}: samples per second, step by step</text>',
        f'<text class="note" x="20" y="53">{escape(ladder["cpu"])}, {threads} thread{"" if threads == 1 else "s"}</text>',
    ]
    for i, (step, length) in enumerate(zip(steps, lengths)):
        y = TOP + ROW * i
        gain = "" if i == 0 else f"{rates[i] / rates[i - 1]:.2f}x"
        kind = "bar last" if i == len(steps) - 1 else "bar"
        lines += [
            f'<text x="{LABEL - 12}" y="{y + 19}" text-anchor="end">{escape(step["name"])}</text>',
            f'<rect class="{kind}" x="{LABEL}" y="{y + 4}" width="{length:.1f}" height="{ROW - 11}" rx="3"/>',
            f'<text class="figure" x="{LABEL + length + 8:.1f}" y="{y + 19}">{rates[i]:.3g}</text>',
            f'<text class="note figure" x="{WIDTH - 90}" y="{y + 19}" text-anchor="end">{gain}</text>',
            f'<text class="note figure" x="{WIDTH - 20}" y="{y + 19}" text-anchor="end">{step["percent_of_peak"]:.3g} %</text>',
        ]
    foot = TOP + ROW * len(steps) + 18
    lines += [
        f'<text class="note" x="{WIDTH - 90}" y="{TOP - 8}" text-anchor="end">gain</text>',
        f'<text class="note" x="{WIDTH - 20}" y="{TOP - 8}" text-anchor="end">of peak</text>',
        f'<text class="note" x="20" y="{foot}">Logarithmic bars. Peak: what this machine was measured to do in a step\'s precision.</text>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description="Draws the ladder as an SVG bar chart.")
    parser.add_argument("json", type=pathlib.Path, help="what the ladder example wrote")
    parser.add_argument("svg", type=pathlib.Path, help="the picture to write")
    arguments = parser.parse_args()
    arguments.svg.write_text(draw(json.loads(arguments.json.read_text())))


if __name__ == "__main__":
    main()
