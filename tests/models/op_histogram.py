"""What a folder of ONNX graphs needs from an engine: op counts and attribute values, as text."""
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import onnx

SHOWN_VALUES = 6


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Nodes of `graph` and of the graphs inside its If, Loop and Scan nodes."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from all_nodes(attribute.g)


def attribute_text(attribute: onnx.AttributeProto) -> str:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return f"{onnx.TensorProto.DataType.Name(value.data_type).lower()}{list(value.dims)}"
    if isinstance(value, bytes):
        return value.decode()
    return str(list(value)) if hasattr(value, "__len__") else str(value)


def value_text(value: onnx.ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    shape = ", ".join(d.dim_param or str(d.dim_value) for d in tensor.shape.dim)
    return f"{value.name} {onnx.TensorProto.DataType.Name(tensor.elem_type).lower()}[{shape}]"


def describe(path: Path) -> str:
    model = onnx.load(path, load_external_data=False)
    opsets = ", ".join(f"{o.domain or 'ai.onnx'} {o.version}" for o in model.opset_import)
    counts: Counter[str] = Counter()
    attributes: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for node in all_nodes(model.graph):
        op = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op_type}"
        counts[op] += 1
        for attribute in node.attribute:
            attributes[op][attribute.name][attribute_text(attribute)] += 1
    lines = [f"== {path.stem}: opset {opsets}, ir {model.ir_version}, {sum(counts.values())} nodes, {model.producer_name} {model.producer_version}"]
    lines.append(f"   in {'; '.join(map(value_text, model.graph.input))} -> out {'; '.join(map(value_text, model.graph.output))}")
    for op, count in counts.most_common():
        lines.append(f"{count:6} {op}  {attribute_line(attributes[op])}".rstrip())
    return "\n".join(lines)


def attribute_line(seen: dict[str, Counter[str]]) -> str:
    parts = []
    for name, values in sorted(seen.items()):
        shown = [text for text, _ in values.most_common(SHOWN_VALUES)]
        more = len(values) - len(shown)
        parts.append(f"{name}={'|'.join(shown)}{f'|(+{more} more)' if more > 0 else ''}")
    return "; ".join(parts)


def write_histogram(folder: Path) -> None:
    """Writes `folder`/ops.txt for every .onnx file in it."""
    (folder / "ops.txt").write_text("\n\n".join(describe(path) for path in sorted(folder.glob("*.onnx"))) + "\n")
