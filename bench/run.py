#!/usr/bin/env python3
"""Measures Oxplow beside its peers on this machine: bench/run.py [--only TEXT] [--isa avx2] [--rounds N] [--seconds S]

Makes the environment with the peers and the models first, writes raw figures to build/bench/*.json and the page to
docs/benchmarks.md. Rows measured before on the same host with the same versions are kept. Uses OXPLOW_COMMAND
(build/oxplow), OXPLOW_MODELS (build/models) and OXPLOW_VENV (build/venv).
"""
import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def located(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable, ROOT / default)).absolute()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="cases whose name has TEXT, as resnet50-fp32-b1; may repeat")
    parser.add_argument("--isa", choices=["avx2", "avx512_vnni"], default="",
                        help="hold everyone to this instruction set (avx2: fp32 cases only)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a slice")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--report", type=Path, default=ROOT / "docs" / "benchmarks.md")
    parser.add_argument("--raw", type=Path, default=ROOT / "build" / "bench", help="folder of the raw figures")
    return parser.parse_args()


def enter_environment() -> None:
    """Continues in the virtual environment that has the peers."""
    venv = located("OXPLOW_VENV", "build/venv")
    subprocess.run([ROOT / "tools" / "python_env.sh", venv, "bench"], check=True)
    if Path(sys.prefix).resolve() != venv.resolve():
        os.execv(venv / "bin" / "python", [str(venv / "bin" / "python"), *sys.argv])


def main() -> int:
    arguments = parse()
    command = located("OXPLOW_COMMAND", "build/oxplow")
    if not command.is_file():
        print(f"bench: no command at {command}: run 'make build' or set OXPLOW_COMMAND", file=sys.stderr)
        return 1
    enter_environment()
    from session import Session  # needs the environment

    return Session(arguments, command, located("OXPLOW_MODELS", "build/models")).run()


if __name__ == "__main__":
    sys.exit(main())
