"""tools/ladder_svg.py: the picture is well-formed XML with a bar a step, and bars follow the figures."""

import importlib.util
import pathlib
import xml.etree.ElementTree as ElementTree

import pytest

_path = pathlib.Path(__file__).resolve().parents[2] / "tools" / "ladder_svg.py"
_spec = importlib.util.spec_from_file_location("ladder_svg", _path)
ladder_svg = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(ladder_svg)


def ladder(*rates):
    steps = [{"name": f"step <{i}>", "samples_per_second": rate, "percent_of_peak": 50.0} for i, rate in enumerate(rates)]
    return {"model": "R&N", "cpu": "a CPU", "threads": 2, "steps": steps}


def widths(svg):
    bars = [e for e in ElementTree.fromstring(svg).iter() if e.get("class", "").startswith("bar")]
    return [float(bar.get("width")) for bar in bars]


def test_equal_gains_are_equally_long():
    first, second, third = widths(ladder_svg.draw(ladder(1.0, 10.0, 100.0)))
    assert second - first == pytest.approx(third - second, abs=0.2)


@pytest.mark.parametrize("rates", [(5.0,), (5.0, 5.0), (5.0, 4.0)])
def test_flat_and_falling_ladders_are_drawn(rates):
    assert all(width > 0 for width in widths(ladder_svg.draw(ladder(*rates))))


def test_a_ladder_without_steps_is_refused():
    with pytest.raises(ValueError):
        ladder_svg.draw(ladder())
