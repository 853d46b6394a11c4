"""The page about many CTs: its costs follow from the figures of docs/performance.md."""

from __future__ import annotations

import pytest
import scale

PERFORMANCE = (scale.PAGE.parent / "performance.md").read_text(encoding="utf-8")


def test_the_page_contains_the_table_of_the_model() -> None:
    assert scale.stage_table([40, 1000, 20_000]) in scale.PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "row", "column"),
    [("convert", "| `--jobs 1` |", 1), ("baseline", "| of it the case |", 2), ("predict", "| of it the case |", 3)],
)
def test_seconds_of_a_case_are_the_measured_ones(name: str, row: str, column: int) -> None:
    # The first table is that of one leg on two cores.
    line = next(line for line in PERFORMANCE.splitlines() if line.startswith(row))
    (stage,) = [stage for stage in scale.STAGES if stage.name == name]
    assert stage.seconds == float(line.split("|")[column + 1])


def test_memory_is_the_measured_one() -> None:
    line = next(line for line in PERFORMANCE.splitlines() if line.startswith("| peak memory (GiB) |"))
    memory = {stage.name: stage.mib for stage in scale.STAGES}
    cells = [float(cell) for cell in line.split("|")[2:-1]]
    assert [memory[name] / 1024 for name in ("baseline", "predict")] == pytest.approx(cells[1:3], abs=0.01)


def test_every_case_is_in_one_shard() -> None:
    assert sum(scale.shard_sizes(40)) == 40
