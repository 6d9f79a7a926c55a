"""tools/check_layers.py on made-up trees: what it accepts, and each offence it must name."""

import importlib.util
import pathlib

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("check_layers", REPOSITORY / "tools" / "check_layers.py")
check_layers = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(check_layers)

TABLE = """
| level | folder | one line | may include |
|---|---|---|---|
| 0 | `base/` | words | - |
| 1 | `formats/` | bytes, files | base |
| 1 | `kernels/` | speed | base |
| 2 | `ops/` | ops | base kernels |
| 3 | `graph/` | the graph | formats and below, ops |
| 4 | `llm/` | models | graph and below |
| 5 | `apps/` | doors | all above |
"""


@pytest.fixture
def offences(tmp_path):
    def run(files):
        (tmp_path / "ARCHITECTURE.md").write_text(TABLE)
        for name, text in files.items():
            path = tmp_path / "oxplow" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return check_layers.check(tmp_path)

    return run


def include(*names):
    return "".join(f'#include "oxplow/{name}"\n' for name in names)


def test_the_table_reads_every_way_to_say_what_is_allowed():
    table = check_layers.read_table(TABLE)
    assert table["base"] == set()
    assert table["ops"] == {"base", "kernels"}
    assert table["graph"] == {"formats", "ops", "base", "kernels"}
    assert table["llm"] == {"graph", "ops", "formats", "kernels", "base"}
    assert table["apps"] == {"llm", "graph", "ops", "formats", "kernels", "base", None}


@pytest.mark.parametrize("row", ["| 1 | `a/` | x | b |", "| 1 | `a/` | x | a |", "nothing"])
def test_a_table_that_makes_no_sense_is_refused(row):
    with pytest.raises(ValueError):
        check_layers.read_table(row)


def test_down_and_inside_is_fine(offences):
    assert not offences(
        {
            "oxplow.h": include("ops/op.h"),
            "base/a.h": "#include <vector>\n",
            "base/a.cc": include("base/a.h"),
            "kernels/dispatch.h": include("base/a.h"),
            "kernels/conv/conv.h": include("kernels/dispatch.h"),
            "kernels/winograd/winograd.h": include("kernels/conv/conv.h", "kernels/dispatch.h"),
            "ops/ops.inc": "",
            "ops/op.h": include("kernels/conv/conv.h", "ops/ops.inc"),
            "apps/cli/main.cc": include("ops/op.h", "oxplow.h"),
        }
    )


def test_only_doors_use_the_public_header(offences):
    assert offences({"oxplow.h": "", "ops/op.h": include("oxplow.h")}) == ["oxplow/ops/op.h:1: ops/ may not include oxplow/oxplow.h"]


def test_up_and_sideways_is_named_with_its_line(offences):
    found = offences({"base/a.h": "\n" + include("ops/op.h"), "ops/op.h": "", "formats/f.h": "", "kernels/k.h": include("formats/f.h")})
    assert found == [
        "oxplow/base/a.h:2: base/ may not include oxplow/ops/op.h",
        "oxplow/kernels/k.h:1: kernels/ may not include oxplow/formats/f.h",
    ]


def test_relative_missing_and_source_includes_are_offences(offences):
    found = offences({"base/a.cc": '#include "a.h"\n' + include("base/gone.h", "base/b.cc"), "base/a.h": "", "base/b.cc": ""})
    assert len(found) == 3
    assert '"a.h" is not a file of ours' in found[0]
    assert '"oxplow/base/gone.h" is not a file of ours' in found[1]
    assert "includes the source oxplow/base/b.cc" in found[2]


def test_a_folder_outside_the_table_is_an_offence(offences):
    assert offences({"misc/a.h": ""}) == ["oxplow/misc/ is not in the table of ARCHITECTURE.md"]


def test_files_in_a_circle_are_named(offences):
    found = offences({"base/a.h": include("base/b.h"), "base/b.h": include("base/c.h"), "base/c.h": include("base/a.h")})
    assert found == ["files include each other: oxplow/base/a.h -> oxplow/base/b.h -> oxplow/base/c.h -> oxplow/base/a.h"]


def test_subfolders_in_a_circle_are_named(offences):
    found = offences(
        {
            "kernels/conv/conv.h": "",
            "kernels/conv/conv.cc": include("kernels/winograd/winograd.h"),
            "kernels/winograd/winograd.h": include("kernels/conv/conv.h"),
        }
    )
    assert found == ["subfolders lean on each other: kernels/conv -> kernels/winograd -> kernels/conv"]


def test_the_project_itself_keeps_to_its_table():
    assert not check_layers.check(REPOSITORY)
