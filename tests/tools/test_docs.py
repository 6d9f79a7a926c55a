"""Documents name what is there: every ONNX op that the importer knows, every model of the catalog, every file a page links to."""

import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def section(page, heading):
    """The text below a heading, up to the next."""
    return re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", page.read_text(), re.MULTILINE | re.DOTALL).group(1)


def test_every_onnx_op_is_listed():
    subprocess.run([ROOT / "tools/onnx_ops.py", "--check"], check=True)


def test_every_model_of_the_catalog_is_listed():
    catalog = re.search(r"^CATALOG.*?^}", (ROOT / "tests/models/catalog.py").read_text(), re.MULTILINE | re.DOTALL).group(0)
    models = set(re.findall(r'^    "(\w+)"', catalog, re.MULTILINE))
    rows = "".join(line.split("|")[1] for line in section(ROOT / "docs/models.md", "Tested models").splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`(\w+)`", rows)) == models


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing
