"""One benchmark session: choose the cases, export their models, measure, keep the raw figures, write the page."""
import argparse
import datetime
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import report
from cases import CASES, Case
from contenders import Setting
from interleave import measure

ROOT = Path(__file__).resolve().parents[1]
PEER_PACKAGES = ("torch", "onnxruntime", "openvino")
BUSY = 0.5  # load average above which figures deserve a warning


def say(line: str) -> None:
    print(f"bench: {line}", file=sys.stderr, flush=True)


def host() -> dict:
    text = Path("/proc/cpuinfo").read_text()
    fields = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    flags = fields.get("flags", fields.get("Features", "")).split()
    name = fields.get("model name") or f"Arm implementer {fields.get('CPU implementer')} part {fields.get('CPU part')}"
    return {"cpu": f"{name} (family {fields.get('cpu family', '-')}, model {fields.get('model', '-')})",
            "isa_flags": [flag for flag in flags if flag.startswith(("avx", "amx", "fma", "asimd", "sve", "i8mm", "bf16"))]}


@dataclass
class Session:
    arguments: argparse.Namespace
    command: Path
    models: Path

    def run(self) -> int:
        """Exit status: 1 if Oxplow has no figure somewhere, 2 if no case was chosen."""
        cases = self.chosen()
        if not cases:
            say(f"no case matches; cases: {' '.join(map(str, CASES))}")
            return 2
        self.export({case.model for case in cases})
        if os.getloadavg()[0] > BUSY:
            say(f"the machine is busy (load {os.getloadavg()[0]:.1f}): the figures will not last")
        results = self.results()
        for case in cases:
            row = measure(self.setting(case), self.arguments.rounds, self.arguments.seconds, say)
            results["rows"] = in_order([row, *(old for old in results["rows"] if old["case"] != row["case"])])
            self.raw_file().write_text(json.dumps(results, indent=1))
        self.write_page()
        return 1 if any("failed" in row["contenders"]["oxplow"] for row in results["rows"]) else 0

    def chosen(self) -> list[Case]:
        wanted = [case for case in CASES if not self.arguments.only or any(text in str(case) for text in self.arguments.only)]
        return [case for case in wanted if self.arguments.isa != "avx2" or case.precision == "fp32"]

    def export(self, names: set[str]) -> None:
        subprocess.run([sys.executable, ROOT / "tests" / "models" / "export.py", *sorted(names), "--out", self.models], check=True,
                       stdout=sys.stderr)

    def setting(self, case: Case) -> Setting:
        return Setting(case, self.arguments.threads, self.arguments.isa, self.models, self.arguments.raw / "work" / str(case), self.command)

    def raw_file(self) -> Path:
        return self.arguments.raw / f"{self.arguments.isa or 'native'}.json"

    def results(self) -> dict:
        """Everything but the rows; rows of an earlier session come along if host, versions and threads are the same."""
        settings = {"threads": self.arguments.threads, "seconds": self.arguments.seconds, "rounds": self.arguments.rounds, "isa": self.arguments.isa}
        fresh = {"host": host(), "versions": {name: version(name) for name in PEER_PACKAGES}, "settings": settings}
        self.arguments.raw.mkdir(parents=True, exist_ok=True)
        old = json.loads(self.raw_file().read_text()) if self.raw_file().exists() else {}
        rows = old["rows"] if all(old.get(key) == value for key, value in fresh.items()) else []
        return {**fresh, "date": datetime.date.today().isoformat(), "load": os.getloadavg(), "doctor": self.doctor(), "rows": rows}

    def doctor(self) -> dict:
        done = subprocess.run([self.command, "doctor", "--measure", "--json", "-"], capture_output=True, text=True,
                              env=self.setting(CASES[0]).environment())
        if done.returncode != 0:
            say(f"'oxplow doctor --measure' failed: {done.stderr.strip()}")
            return {}
        return json.loads(done.stdout)

    def write_page(self) -> None:
        runs = {run["settings"]["isa"]: run for run in (json.loads(path.read_text()) for path in sorted(self.arguments.raw.glob("*.json")))}
        self.arguments.report.parent.mkdir(parents=True, exist_ok=True)
        self.arguments.report.write_text(report.page(runs))
        say(f"wrote {self.arguments.report} and {self.raw_file()}")


def in_order(rows: list[dict]) -> list[dict]:
    order = [str(case) for case in CASES]
    return sorted(rows, key=lambda row: order.index(row["case"]))
