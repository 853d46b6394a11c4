"""Build a dataset beside its place and put it there whole: what a killed run leaves is used or removed by the next.

Beside ``DatasetNNN_Name`` there may stand, hidden from nnU-Net:

``.DatasetNNN_Name.partial``
    The dataset being built. ``finished/CASE.json`` in it is written when both files of a case are.
``.DatasetNNN_Name.previous``
    The dataset that is being replaced, complete. It is there only between two renames.
``.DatasetNNN_Name.discarded``
    What is being deleted.
``.DatasetNNN_Name.lock``
    Locked by the run that builds the dataset; the lock ends with its process.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.files import write_json, written_beside
from nnunet_femur.intake.record import CaseRecord, read_record, record_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_FINISHED = "finished"


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _beside(target: Path, what: str) -> Path:
    return target.with_name(f".{target.name}.{what}")


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Let one process at a time build `target`, where the system can lock files.

    Raises:
        SetupError: Another process is building it.
    """
    path = _beside(target, "lock")
    with path.open("w") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The process that held it may have removed it between our opening and locking it.
            mine = path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino
        except BlockingIOError:
            mine = False
        except (ImportError, OSError):
            mine = True
        if not mine:
            msg = f"{target}: another conversion is writing it. Wait until it has ended."
            raise SetupError(msg)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def recover(target: Path) -> None:
    """Finish or undo a replacement of `target` that was cut off."""
    previous = _beside(target, "previous")
    if previous.exists():
        if target.exists():
            _discard(target, previous)
        else:
            previous.rename(target)
    shutil.rmtree(_beside(target, "discarded"), ignore_errors=True)


def require_replaceable(target: Path) -> None:
    """Check that `target` may be written.

    Raises:
        InputError: Another dataset has its number, or what stands there was not made by this package.
    """
    number = target.name.partition("_")[0]
    for other in sorted(target.parent.glob(f"{number}_*")):
        if other.name != target.name:
            msg = f"{other}: has the number of {target.name} already. Choose another --dataset-id, or move it away."
            raise InputError(msg)
    if target.exists() and read_record(target) is None:
        msg = f"{target}: was not made by this package. Choose another --dataset-id or --name, or move it away."
        raise InputError(msg)


def require_untouched(target: Path) -> None:
    """Check that nobody's work is lost when `target` is replaced.

    Raises:
        InputError: It holds files that the conversion did not write, or not like this.
    """
    record = read_record(target)
    if record is None:
        return
    written = record.written_files()
    changed = [
        name for path, name in _files(target) if name != record_file(target).name and written.get(name) != sha256(path)
    ]
    if changed:
        names = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
        msg = (
            f"{target}: the source or the options have changed, so it would be made anew, but it holds files that were "
            f"changed or added by hand: {names}. Move the dataset away to keep them, or delete it."
        )
        raise InputError(msg)


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    """The files below a folder and their relative names, but hidden ones."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            yield path, path.relative_to(folder).as_posix()


class Staging:
    """The folder in which a dataset is built."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.folder = _beside(target, "partial")
        self._reusable = _finished_cases(target) | _finished_cases(self.folder)
        for name in ("imagesTr", "labelsTr", "imagesTs", "labelsTs", _FINISHED):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    def reuse(
        self, case: str, sources: dict[str, dict[str, str]], versions: dict[str, str], *, image: str, mask: str
    ) -> CaseRecord | None:
        """The record of a case that an earlier run has finished from the same sources, its files in place; else None.

        Args:
            case: The case's id.
            sources: Its source files and their content, as in the record.
            versions: What it must have been written with.
            image: Where the image belongs, relative to the dataset.
            mask: Where the mask belongs.
        """
        if case not in self._reusable:
            return None
        folder, record = self._reusable[case]
        if record.sources != sources or record.versions != versions:
            return None
        for name, source, digest in (
            (image, record.image, record.image_sha256),
            (mask, record.mask, record.mask_sha256),
        ):
            if not (folder / source).is_file() or sha256(folder / source) != digest:
                return None
            if folder / source != self.folder / name:
                with written_beside(self.folder / name) as partial:
                    shutil.copyfile(folder / source, partial)
        moved = record.moved(image=image, mask=mask)
        self.finish(moved)
        return moved

    def finish(self, record: CaseRecord) -> None:
        """Note that both files of a case are written, so that no later run writes them again."""
        write_json(self.folder / _FINISHED / f"{record.case}.json", record.as_json())

    def publish(self, names: Iterable[str]) -> None:
        """Put the dataset in its place, with the files `names` (relative) and no other."""
        kept = set(names)
        for path in [path for path in self.folder.rglob("*") if path.is_file()]:
            name = path.relative_to(self.folder).as_posix()
            if name not in kept and not name.startswith(f"{_FINISHED}/"):
                path.unlink()
        shutil.rmtree(self.folder / _FINISHED)
        previous = _beside(self.target, "previous")
        if self.target.exists():
            self.target.rename(previous)
        self.folder.rename(self.target)
        if previous.exists():
            _discard(self.target, previous)


def drop_staging(target: Path) -> None:
    """Remove what a cut-off run has begun for `target`; for when nothing is to be done."""
    shutil.rmtree(_beside(target, "partial"), ignore_errors=True)


def _finished_cases(folder: Path) -> dict[str, tuple[Path, CaseRecord]]:
    """The finished cases of a dataset, or of a staging folder at any point of its life."""
    record = read_record(folder)
    cases = [] if record is None else list(record.cases)
    for path in sorted((folder / _FINISHED).glob("[!.]*.json")):
        case = CaseRecord.read(path)
        if case is not None:
            cases.append(case)
    return {case.case: (folder, case) for case in cases}


def _discard(target: Path, folder: Path) -> None:
    # Renamed first: a folder that is called "previous" is always complete.
    discarded = _beside(target, "discarded")
    shutil.rmtree(discarded, ignore_errors=True)
    folder.rename(discarded)
    shutil.rmtree(discarded, ignore_errors=True)
