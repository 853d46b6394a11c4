"""Cases side by side: order, threads, failures of single cases, and memory."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.errors import SetupError
from nnunet_femur.prediction import pipeline
from nnunet_femur.prediction.pipeline import Pipeline, available_bytes, is_out_of_memory

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path


MAIN = threading.main_thread().name


class _Work:
    """Letters, whose parts are noted with their thread; `failures` are raised once each, by part and letter."""

    def __init__(self, failures: dict[str, list[BaseException]] | None = None) -> None:
        self.failures = failures or {}
        self.begun: list[str] = []
        self.threads: dict[str, str] = {}
        self.outcomes: list[tuple[str, object]] = []
        self.calls: list[str] = []
        self.pipeline: Pipeline[str, str, str, str] = Pipeline(self)

    def _part(self, name: str, item: str) -> None:
        self.threads[name + item] = threading.current_thread().name.split("_")[0]
        self.calls.append(name + item)
        if self.failures.get(name + item):
            raise self.failures[name + item].pop(0)

    def begin(self, item: str) -> None:
        self.begun.append(item)

    def read(self, item: str) -> str:
        self._part("read", item)
        return f"r{item}"

    def room_bytes(self, read: str) -> int:
        assert read.startswith("r")
        return 1 << 20

    def find(self, item: str, read: str) -> str:
        assert read == f"r{item}"
        self._part("find", item)
        return f"f{item}"

    def finish(self, item: str, found: str) -> str:
        assert found == f"f{item}"
        self._part("finish", item)
        return f"d{item}"

    def settle(self, item: str, outcome: Future[str]) -> None:
        assert threading.current_thread() is threading.main_thread()
        error = outcome.exception()
        if error is not None and not isinstance(error, Exception):
            raise error
        self.outcomes.append((item, type(error) if error else outcome.result()))


@pytest.fixture(autouse=True)
def free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """As much as anybody wants."""
    monkeypatch.setattr(pipeline, "available_bytes", lambda: 1 << 40)


def test_neighbours_have_threads_of_their_own() -> None:
    work = _Work()
    work.pipeline.run("abc")
    assert work.outcomes == [("a", "da"), ("b", "db"), ("c", "dc")]
    assert work.begun == ["a", "b", "c"]
    expected = {"reada": MAIN, "readb": "read-ahead", "readc": "read-ahead"}
    expected |= {f"find{item}": MAIN for item in "abc"} | {"finisha": "finish", "finishb": "finish", "finishc": MAIN}
    assert work.threads == expected


def test_parts_overlap() -> None:
    """While b is in its middle part, c is read and a finished: each waits for the other two."""
    together = threading.Barrier(3, timeout=20)

    class Meeting(_Work):
        def _part(self, name: str, item: str) -> None:
            if name + item in ("readc", "findb", "finisha"):
                together.wait()

    work = Meeting()
    work.pipeline.run("abc")
    assert [item for item, _ in work.outcomes] == ["a", "b", "c"]


def test_at_most_one_case_is_read_ahead() -> None:
    class Slow(_Work):
        def _part(self, name: str, item: str) -> None:
            super()._part(name, item)
            time.sleep(0.02 if name == "find" else 0)

    work = Slow()
    work.pipeline.run("abcd")
    for early, late in (("finda", "readc"), ("findb", "readd")):
        assert work.calls.index(early) < work.calls.index(late)


@pytest.mark.parametrize("part", ["read", "find", "finish"])
@pytest.mark.parametrize("item", ["a", "b", "c"])
def test_a_failure_belongs_to_its_case(part: str, item: str) -> None:
    work = _Work({part + item: [ZeroDivisionError()]})
    work.pipeline.run("abc")
    assert work.outcomes == [(each, ZeroDivisionError if each == item else f"d{each}") for each in "abc"]


@pytest.mark.parametrize("part", ["read", "find", "finish"])
def test_exhausted_memory_repeats_the_case_alone(part: str) -> None:
    work = _Work({f"{part}b": [MemoryError()]})
    work.pipeline.run("abcde")
    assert work.outcomes == [(each, f"d{each}") for each in "abcde"]
    assert work.begun == list("abcde")
    assert work.calls.count(f"{part}b") == 2
    assert work.calls[-4:] == ["finishd", "reade", "finde", "finishe"]
    assert {work.threads[f"finish{item}"] for item in "bde"} == {MAIN}


def test_what_was_read_is_free_when_a_case_is_repeated() -> None:
    """Of b, which was read ahead, and of c, which was read beside it."""

    class Volume(str):
        """Text that was read, which can be referred to weakly."""

        __slots__ = ("__weakref__",)

    class Large(_Work):
        def __init__(self) -> None:
            super().__init__({"findb": [MemoryError()]})
            self.alive: weakref.WeakSet[Volume] = weakref.WeakSet()
            self.ahead = threading.Event()

        def read(self, item: str) -> str:
            if self.calls.count(f"read{item}"):
                gc.collect()
                assert not self.alive
            volume = Volume(super().read(item))
            self.alive.add(volume)
            if item == "c":
                self.ahead.set()
            return volume

        def find(self, item: str, read: str) -> str:
            if item == "b":
                assert self.ahead.wait(20)
            return super().find(item, read)

    work = Large()
    work.pipeline.run("abc")
    assert work.outcomes == [(each, f"d{each}") for each in "abc"]
    assert work.calls.count("readb") == work.calls.count("readc") == 2


def test_a_device_without_memory_repeats_the_case_alone() -> None:
    """The next case is preprocessed on the same device."""
    error = SetupError("The network does not fit.", code="no-device")
    error.__cause__ = MemoryError()
    work = _Work({"findb": [error]})
    work.pipeline.run("abc")
    assert work.outcomes == [(each, f"d{each}") for each in "abc"]


def test_a_case_that_does_not_fit_alone_fails() -> None:
    work = _Work({"findb": [MemoryError(), MemoryError()], "finda": [MemoryError(), MemoryError()]})
    work.pipeline.run("abc")
    assert work.outcomes == [("a", MemoryError), ("b", MemoryError), ("c", "dc")]
    work = _Work({"finda": [MemoryError()]})
    work.pipeline.run("a")
    assert work.outcomes == [("a", MemoryError)]
    assert work.calls == ["reada", "finda"], "there was no companion to do without"


def test_one_after_the_other_has_no_threads() -> None:
    work = _Work()
    work.pipeline = Pipeline(work, side_by_side=False)
    work.pipeline.run("abc")
    assert work.outcomes == [(each, f"d{each}") for each in "abc"]
    assert work.calls == [f"{part}{item}" for item in "abc" for part in ("read", "find", "finish")]
    assert set(work.threads.values()) == {MAIN}


def test_short_memory_reads_nothing_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "available_bytes", lambda: (2 << 30) + (1 << 20))
    work = _Work()
    work.pipeline.run("ab")
    assert work.outcomes == [("a", "da"), ("b", "db")]
    assert work.threads["readb"] == MAIN


def test_an_interruption_keeps_what_is_found() -> None:
    work = _Work({"findb": [KeyboardInterrupt()]})
    with pytest.raises(KeyboardInterrupt):
        work.pipeline.run("abc")
    assert work.outcomes == [("a", "da")]
    assert "findc" not in work.calls


def test_the_case_before_is_settled_as_soon_as_it_is_asked_for() -> None:
    class Asking(_Work):
        def find(self, item: str, read: str) -> str:
            if item == "b":
                deadline = time.monotonic() + 20
                while not self.outcomes and time.monotonic() < deadline:
                    self.pipeline.poll()
                assert self.outcomes == [("a", "da")]
            return super().find(item, read)

    work = Asking()
    work.pipeline.run("ab")
    assert work.outcomes == [("a", "da"), ("b", "db")]


class TestMemory:
    def test_of_pytorch(self) -> None:
        import torch

        with pytest.raises(RuntimeError) as raised:
            torch.empty(1 << 60, dtype=torch.uint8)
        assert is_out_of_memory(raised.value)
        assert is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 17.9 GB)"))
        assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))

    def test_of_a_container(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pipeline, "_CGROUP", tmp_path)
        whole = available_bytes()
        for name, text in (
            ("memory.max", "1000000\n"),
            ("memory.current", "900000\n"),
            ("memory.stat", "anon 5\ninactive_file 30000\nactive_file 7\n"),
        ):
            (tmp_path / name).write_text(text)
        assert available_bytes() == 130_000
        (tmp_path / "memory.max").write_text("max\n")
        assert available_bytes() == pytest.approx(whole, rel=0.5)
