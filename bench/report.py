"""The raw figures as a page for people: docs/benchmarks.md."""
import statistics

from contenders import HELD_TO
from peers import PEERS

# Peers that still use wider instructions when held: ONNX Runtime in all kernels, OpenVINO in its GEMM and elementwise ones.
NOT_HELD = {"avx2": ("onnxruntime", "openvino"), "avx512_vnni": ()}
HEAD = """# Benchmarks

Made by `make bench`; do not edit. Every contender loads the same model, its outputs are compared with ONNX Runtime's fp32 outputs
(a contender that is off by more than 1e-4 in fp32 or 3e-2 in bf16 gets no figure), then all run in turn on an otherwise idle machine,
{seconds:g} s a slice, {rounds} rounds, the idle ones stopped. A figure is samples/s, the median over rounds of the median within a slice;
the ratio is the median over rounds of Oxplow's figure over that round's figure of the best peer. Absolute figures belong to this host;
ratios last.
"""


def page(runs: dict[str, dict]) -> str:
    """`runs`: raw results by ISA; "" is the machine's best."""
    settings = next(iter(runs.values()))["settings"]
    return "\n".join([HEAD.format(**settings), *(section(isa, run) for isa, run in sorted(runs.items()))])


def section(isa: str, run: dict) -> str:
    host = run["host"]
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    lines = [f"## {'Held to ' + isa if isa else 'Best instruction set'}", "",
             f"{host['cpu']}, {run['settings']['threads']} threads, Oxplow's tier: {oxplow_tier(run)}. {versions}. {run['date']}.", ""]
    if isa:
        held = ", ".join(f"`{name}={value}`" for name, value in HELD_TO[isa].items())
        lines += [f"Held by {held}. Not fully held: {', '.join(NOT_HELD[isa]) or 'none'}. The ratio is over the best held peer; where a peer that "
                  "is not held is faster still, the ratio over it follows. A host without wider instructions holds everyone.", ""]
    lines += [*table(run, isa if is_wider(host, isa) else ""), *failures(run), *limits(run)]
    return "\n".join(lines) + "\n"


def oxplow_tier(run: dict) -> str:
    tiers = {row["contenders"]["oxplow"].get("facts", {}).get("isa", "") for row in run["rows"]}
    return ", ".join(sorted(tiers - {""})) or "unknown"


def table(run: dict, held_to: str) -> list[str]:
    lines = [f"| model | precision | batch | oxplow | {' | '.join(PEERS)} | oxplow / best peer |", "|---|---|--:|--:|" + "--:|" * len(PEERS) + "---|"]
    for row in run["rows"]:
        cells = [figure(row["contenders"].get(name)) for name in ("oxplow", *PEERS)]
        lines.append(f"| {row['model']} | {row['precision']} | {row['batch']} | {' | '.join(cells)} | {ratio(row['contenders'], held_to)} |")
    return [*lines, ""]


def figure(result: dict | None) -> str:
    if result is None:
        return "-"
    return "failed" if "failed" in result else f"{result['median']:.4g}"


def is_wider(host: dict, isa: str) -> bool:
    """Whether this CPU has instructions beyond `isa`, so that holding peers to it matters."""
    wider = {"avx2": "avx512f", "avx512_vnni": "amx_tile"}
    return wider.get(isa) in host["isa_flags"]


def ratio(contenders: dict[str, dict], held_to: str) -> str:
    ours = contenders["oxplow"]
    peers = {name: result for name, result in contenders.items() if name != "oxplow" and "median" in result}
    if not peers or "median" not in ours:
        return "-"
    held = {name: result for name, result in peers.items() if name not in NOT_HELD.get(held_to, ())}
    shown = dict.fromkeys(max(group, key=lambda name: group[name]["median"]) for group in (held, peers) if group)
    return ", ".join(f"{over(ours, peers[name]):.2f}x ({name}{'' if name in held else ', not held'})" for name in shown)


def over(ours: dict, theirs: dict) -> float:
    return statistics.median(a / b for a, b in zip(ours["rounds"], theirs["rounds"]))


def failures(run: dict) -> list[str]:
    lines = [f"- {row['case']}: {name}: {result['failed']}"
             for row in run["rows"] for name, result in row["contenders"].items() if "failed" in result]
    return ["Without a figure:", *lines, ""] if lines else []


def limits(run: dict) -> list[str]:
    """What `oxplow doctor --measure` measured on this host, whatever it is called there."""
    numbers = [(name, value) for name, value in flattened(run["doctor"]) if type(value) in (int, float)]
    rows = [f"| {name} | {value:.4g} |" for name, value in numbers]
    return ["Limits of this host (`oxplow doctor --measure`):", "", "| limit | value |", "|---|--:|", *rows, ""] if rows else []


def flattened(value: object, name: str = "") -> list[tuple[str, object]]:
    if isinstance(value, dict):
        return [pair for key, part in value.items() for pair in flattened(part, f"{name}.{key}" if name else key)]
    return [(name, value)]
