"""What is measured. Add a case by adding a line."""
from dataclasses import dataclass

TOLERANCE = {"fp32": 1e-4, "bf16": 3e-2}  # max |y - expected| / max |expected|, expected from ONNX Runtime in fp32


@dataclass(frozen=True)
class Case:
    model: str
    precision: str
    batch: int

    def __str__(self) -> str:
        return f"{self.model}-{self.precision}-b{self.batch}"


CASES = [
    *(Case("resnet50", precision, batch) for precision in ("fp32", "bf16") for batch in (1, 8, 32)),
    *(Case("vit", precision, batch) for precision in ("fp32", "bf16") for batch in (1, 8)),
    Case("minilm", "fp32", 1),  # 128 tokens
    Case("mobilenetv3", "fp32", 1),
]
