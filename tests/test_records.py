"""Records: provenance, fingerprints, locks, and files of settings."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.errors import SetupError
from nnunet_femur.records import (
    Provenance,
    code_fingerprint,
    file_state,
    fingerprint,
    locked,
    read_mapping,
    tree_fingerprint,
)

if TYPE_CHECKING:
    from pathlib import Path


class TestProvenance:
    def test_the_same_settings_and_inputs(self) -> None:
        made = Provenance({"a": 1}, ["ct", 3])
        assert made.is_current(settings={"a": 1}, inputs=["ct", 3])
        assert not made.is_current(settings={"a": 2}, inputs=["ct", 3])
        assert not made.is_current(settings={"a": 1}, inputs=["ct", 4])

    def test_files_as_written(self, tmp_path: Path) -> None:
        (tmp_path / "mask").write_bytes(b"abc")
        (tmp_path / "mesh").write_bytes(b"abc")
        made = Provenance(None, outputs={"mask": hashlib.sha256(b"abc").hexdigest(), "mesh": 3})
        assert made.is_current(settings=None, folder=tmp_path)
        (tmp_path / "mesh").write_bytes(b"xyz")
        assert made.is_current(settings=None, folder=tmp_path), "of this file only the size is known"
        (tmp_path / "mask").write_bytes(b"xyz")
        assert not made.is_current(settings=None, folder=tmp_path)
        (tmp_path / "mask").unlink()
        assert not made.is_current(settings=None, folder=tmp_path)


class TestFingerprints:
    def test_of_settings(self) -> None:
        assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
        assert fingerprint({"a": 1}) != fingerprint({"a": "1"})

    def test_of_files(self, tmp_path: Path) -> None:
        paths = [tmp_path / "a", tmp_path / "b"]
        for path in paths:
            path.write_bytes(b"abc")
        changed = max(path.stat().st_mtime_ns for path in paths)
        assert file_state(paths) == {"files": 2, "bytes": 6, "changed_ns": changed}
        with pytest.raises(FileNotFoundError):
            file_state([tmp_path / "c"])

    def test_of_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"abc")
        before = tree_fingerprint(tmp_path)
        assert tree_fingerprint(tmp_path) == before
        (tmp_path / "b").touch()
        assert tree_fingerprint(tmp_path) != before

    def test_of_code_without_its_words(self, tmp_path: Path) -> None:
        first, second, third = (tmp_path / name for name in ("first", "second", "third"))
        for folder, text in (
            (first, 'def f():\n    """Return one."""\n    return 1\n'),
            (second, '# A comment.\ndef f():\n    """Another docstring."""\n    return 1\n'),
            (third, 'def f():\n    """Return one."""\n    return 2\n'),
        ):
            folder.mkdir()
            (folder / "a.py").write_text(text)
        assert code_fingerprint(first) == code_fingerprint(second)
        assert code_fingerprint(first) != code_fingerprint(third)


class TestLocked:
    def test_another_process_is_refused(self, tmp_path: Path) -> None:
        lock = tmp_path / ".lock"
        code = (
            "import sys; from pathlib import Path; from nnunet_femur.records import locked\n"
            "from nnunet_femur.errors import SetupError\n"
            "try:\n"
            "    with locked(Path(sys.argv[1]), busy='busy'): print('held')\n"
            "except SetupError as error: print(error.code, error)"
        )
        command = [sys.executable, "-c", code, str(lock)]
        with locked(lock, busy="busy"):
            assert subprocess.run(command, check=True, text=True, capture_output=True).stdout == "locked busy\n"
        assert subprocess.run(command, check=True, text=True, capture_output=True).stdout == "held\n"
        assert not lock.exists()

    def test_in_one_process(self, tmp_path: Path) -> None:
        with locked(tmp_path / ".lock", busy="busy"), pytest.raises(SetupError) as caught:  # noqa: SIM117
            with locked(tmp_path / ".lock", busy="busy"):
                pass
        assert caught.value.code == "locked"


@pytest.mark.parametrize(
    ("text", "expected"), [("3e-4", 3e-4), ("1.5E+3", 1500.0), ('"3e-4"', "3e-4"), ("1e5x", "1e5x"), ("12", 12)]
)
def test_numbers_with_an_exponent_in_yaml(tmp_path, text, expected):
    (tmp_path / "a.yaml").write_text(f"a: {text}\n")
    value = read_mapping(tmp_path / "a.yaml")["a"]
    assert (value, type(value)) == (expected, type(expected))
