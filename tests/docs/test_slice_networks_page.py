"""The table of networks in the documentation equals the one computed from the networks."""

from __future__ import annotations

from pathlib import Path

from benchmarks.slice_networks import table


def test_table_of_networks() -> None:
    document = (Path(__file__).parents[2] / "docs" / "slice-networks.md").read_text(encoding="utf-8")
    assert table() in document, "print it: python benchmarks/slice_networks.py"
