#!/usr/bin/env python3
"""Climbs from plain loops to the finished engine on ResNet-50, one step at a time, and prints what each step gains.

Each row runs `oxplow bench` with one more thing switched on. "% of peak" compares the multiplications and additions that the definition of
the network asks for with what `oxplow doctor --measure` says this machine can do in the row's precision, on the row's threads;
Winograd does fewer of them, so it can pass 100 %.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parents[2]
GFLOP = 8.18  # of one ResNet-50 (v1.5) forward pass at 224 x 224, a multiply-add counted as two
FUSIONS = ["fuse_bias", "merge_siblings", "fuse_epilogues", "fuse_chains"]


@dataclass
class Step:
    name: str
    flags: list[str] = field(default_factory=list)
    threads: int = 1
    precision: str = "fp32"
    batch: int = 1
    isa: str | None = None


def steps(threads: int, has_bf16: bool) -> list[Step]:
    """The ladder: every step keeps what the steps before it switched on."""
    skip = [flag for name in FUSIONS for flag in ("--skip-pass", name)]
    ladder = [
        Step("plain loops", [*skip, "--skip-pass", "sink_transposes", "--convolution", "plain"], isa="x86_64"),
        Step("layout: channels last", [*skip, "--convolution", "plain_channels_last"], isa="x86_64"),
        Step("kernels for this CPU", [*skip, "--convolution", "direct"]),
        Step("fusion", ["--convolution", "direct"]),
        Step("Winograd"),
        Step(f"threads: {threads}", threads=threads),
    ]
    if has_bf16:
        ladder += [Step("bf16", threads=threads, precision="bf16"), Step("batch 8", threads=threads, precision="bf16", batch=8)]
    else:
        ladder += [Step("batch 8", threads=threads, batch=8)]
    return ladder


def run(arguments: list[str], **environment: str) -> dict:
    """One `oxplow` command that prints JSON."""
    command = os.environ.get("OXPLOW_COMMAND", str(ROOT / "build/oxplow"))
    done = subprocess.run([command, *arguments, "--json", "-"], env={**os.environ, **environment}, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"oxplow {' '.join(arguments)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def measure(step: Step, model: str, seconds: float) -> float:
    """Samples a second (median)."""
    arguments = ["bench", model, "--threads", str(step.threads), "--precision", step.precision, "--batch", str(step.batch),
                 "--seconds", str(seconds), *step.flags]
    environment = {"OXPLOW_ISA": step.isa} if step.isa and os.uname().machine == "x86_64" else {}
    return run(arguments, **environment)["samples_per_second"]["median"]


def peaks(threads: int) -> dict[str, float]:
    """GFLOP/s of this machine by precision, on this many threads."""
    found = run(["doctor", "--measure"], OXPLOW_THREADS=str(threads))["peaks"]
    return {"fp32": found["f32_gflops"], "bf16": found.get("bf16_gflops") or found["f32_gflops"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=str(ROOT / "build/models/resnet50.onnx"))
    parser.add_argument("--seconds", type=float, default=3, help="time for each step")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to a file")
    options = parser.parse_args()

    machine = run(["doctor"])
    threads = machine["threads"]
    peak = {n: peaks(n) for n in {1, threads}}
    # Without kernels for it, bf16 falls back to fp32 and says so: no step then.
    has_bf16 = run(["bench", options.model, "--precision", "bf16", "--seconds", "0.1"])["precision"] == "bf16"
    print(f"ResNet-50 on {machine['cpu']}: measured peak {peak[threads]['fp32']:.0f} GFLOP/s fp32 on {threads} threads\n")
    print(f"{'step':<24}{'samples/s':>12}{'gain':>9}{'% of peak':>12}")
    rows, before = [], None
    for step in steps(threads, has_bf16):
        rate = measure(step, options.model, options.seconds)
        percent = 100 * rate * GFLOP / peak[step.threads][step.precision]
        print(f"{step.name:<24}{rate:>12.2f}{f'{rate / before:.2f}x' if before else '':>9}{percent:>12.1f}", flush=True)
        rows.append({"name": step.name, "samples_per_second": rate, "percent_of_peak": percent, "batch": step.batch, "precision": step.precision})
        before = rate
    print(f"\nfrom the first step to the last: {rows[-1]['samples_per_second'] / rows[0]['samples_per_second']:.0f}x")
    if options.json:
        options.json.write_text(json.dumps({"model": "ResNet-50", "cpu": machine["cpu"], "threads": threads, "steps": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
