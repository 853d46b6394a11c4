"""Progress: loops report to one protocol, and bars are drawn in terminals."""

from __future__ import annotations

from typing import Any

import pytest

from nnunet_femur.progress import SILENT, Silent, TerminalProgress, track


class Seen(Silent):
    """Keep every call."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def begin(self, task: str, total: float | None = None) -> None:
        self.calls.append(("begin", task, total))

    def advance(self, task: str, done: float, *, total: float | None = None, note: str = "") -> None:
        self.calls.append(("advance", task, done))

    def end(self, task: str, message: str = "") -> None:
        self.calls.append(("end", task))


class TestTrack:
    def test_reports_every_item(self) -> None:
        seen = Seen()
        assert list(track("ab", "Read", progress=seen)) == ["a", "b"]
        assert seen.calls == [("begin", "Read", 2), ("advance", "Read", 1), ("advance", "Read", 2), ("end", "Read")]

    def test_of_items_without_a_length(self) -> None:
        seen = Seen()
        list(track(iter("ab"), "Read", 5, progress=seen))
        assert seen.calls[0] == ("begin", "Read", 5)

    def test_ends_after_a_failure(self) -> None:
        seen = Seen()
        with pytest.raises(ZeroDivisionError):
            _ = [1 / item for item in track([1, 0], "Divide", progress=seen)]
        assert seen.calls[-1] == ("end", "Divide")

    def test_is_silent_by_default(self, capsys: pytest.CaptureFixture[str]) -> None:
        list(track("ab", "Read"))
        SILENT.begin("x")
        SILENT.advance("x", 1)
        SILENT.end("x")
        assert capsys.readouterr() == ("", "")


class TestTerminalProgress:
    def test_leaves_standard_output_clean(self, capsys: pytest.CaptureFixture[str]) -> None:
        list(track("ab", "Reading", progress=TerminalProgress()))
        printed = capsys.readouterr()
        assert printed.out == ""
        assert "Reading" in printed.err

    def test_tasks_within_tasks(self, capsys: pytest.CaptureFixture[str]) -> None:
        progress = TerminalProgress()
        progress.begin("Predict", 2)
        for number, case in enumerate(("L001", "L002"), 1):
            progress.begin(case)
            progress.advance(case, 3, total=27, note="window")
            progress.end(case, f"failed {case}")
            progress.advance("Predict", number)
        progress.end("Predict")
        assert [line for line in capsys.readouterr().err.splitlines() if line.startswith("failed")] == [
            "failed L001",
            "failed L002",
        ]
