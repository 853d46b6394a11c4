"""Build a dataset beside its final place and move it there when it is complete.

The next run uses or removes what a killed run leaves. Hidden from nnU-Net, these may exist beside ``DatasetNNN_Name``:

``.DatasetNNN_Name.partial``
    The dataset being built. Volumes are in ``cases/``; ``finished/CASE.json`` is written after both files of a case.
``.DatasetNNN_Name.previous``
    The complete dataset that is being replaced. It exists only between two renames.
``.DatasetNNN_Name.discarded``
    Files that are being deleted.
``.DatasetNNN_Name.lock``
    Locked by the run that builds the dataset; the lock ends with its process. Each part of several has its own,
    ``.DatasetNNN_Name.3-of-16.lock``.
"""

from __future__ import annotations

import shutil
import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from glob import escape
from typing import TYPE_CHECKING

from nnunet_femur import records
from nnunet_femur.atomic_files import rename, rename_flushed, write_json, write_text, written_beside
from nnunet_femur.conversion.case_record import CaseRecord
from nnunet_femur.conversion.dataset_record import RECORD_FILE, DatasetRecord
from nnunet_femur.dataset.raw import FILE_ENDING, IMAGES_TR, IMAGES_TS, LABELS_TR, LABELS_TS
from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.records import sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from nnunet_femur.shards import Shard


QC_FOLDER = "qc"
"""Folder of a dataset with its pictures, which can be drawn again at any time and are not part of the record."""

_TRIES, _TRY_S = 20, 0.1
"""Number of tests of a lock that other parts may hold for a moment, and the time between two, in s."""

_CASES, _FINISHED = "cases", "finished"

_PLACES = (IMAGES_TR, LABELS_TR, IMAGES_TS, LABELS_TS)


@contextmanager
def locked(target: Path, shard: Shard | None = None) -> Iterator[None]:
    """Hold the lock under which one process at a time builds `target`, or one process per part converts its cases.

    Args:
        target: The dataset.
        shard: The part; None for all cases.

    Raises:
        SetupError: Another process is building it (code "locked").
    """
    busy = f"{target}: another conversion is writing this dataset. Wait until it has finished."
    whole = _beside(target, "lock")
    with ExitStack() as stack:
        if shard is not None:
            stack.enter_context(records.locked(_beside(target, f"{shard}.lock"), busy=busy))
            _require_free(whole, busy)
        else:
            stack.enter_context(records.locked(whole, busy=busy))
            for each in sorted(target.parent.glob(f".{escape(target.name)}.*-of-*.lock")):
                stack.enter_context(records.locked(each, busy=busy))
        yield


def _require_free(lock: Path, busy: str) -> None:
    """Refuse to go on while the dataset is written as a whole. Other parts hold the lock for the moment of this test.

    Raises:
        SetupError: The lock is held (code "locked").
    """
    for left in reversed(range(_TRIES)):
        try:
            with records.locked(lock, busy=busy):
                return
        except SetupError:
            if not left:
                raise
            time.sleep(_TRY_S)


def recover(target: Path) -> None:
    """Finish or undo a replacement of `target` that was interrupted."""
    previous = _beside(target, "previous")
    if previous.exists():
        if target.exists():
            _discard(target, previous)
        else:
            rename(previous, target)
    _remove(_beside(target, "discarded"))


def require_replaceable(target: Path) -> None:
    """Check that `target` may be written.

    Raises:
        InputError: Another dataset has the number (code "exists"), `target` was not written by this package, or it was
            updated by hand-corrected cases, which would be lost ("edited-by-hand").
    """
    if target.is_symlink():
        msg = f"{target}: is a symbolic link, which cannot be replaced. Move it away, or give the folder it points to."
        raise InputError(msg, code="exists")
    number = target.name.partition("_")[0]
    for other in sorted(target.parent.glob(f"{number}_*")):
        if other.name != target.name:
            msg = f"{other}: already has the number of {target.name}. Choose another --dataset-id, or move it away."
            raise InputError(msg, code="exists")
    record = DatasetRecord.read(target)
    if target.exists() and record is None:
        msg = f"{target}: was not written by this package. Choose another --dataset-id or --name, or move it away."
        raise InputError(msg, code="exists")
    if record is not None and record.updates:
        msg = (
            f"{target}: contains cases of nnfemur convert --update, which converting the source again would remove. "
            "Choose another --dataset-id, or move the dataset away."
        )
        raise InputError(msg, code="edited-by-hand")


def require_untouched(target: Path) -> None:
    """Check that `target` contains no changes by hand, which replacing it would delete.

    Raises:
        InputError: It contains files that were changed or added by hand (code "edited-by-hand").
    """
    record = DatasetRecord.read(target)
    if record is None:
        return
    written = record.written_files()
    changed = [
        name
        for path, name in _files(target)
        if name != RECORD_FILE and not _is_picture(name) and written.get(name) != sha256(path)
    ]
    if changed:
        names = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
        msg = (
            f"{target}: source or options have changed, but the dataset contains files that were changed or added by "
            f"hand: {names}. Move the dataset away to keep them, or delete it."
        )
        raise InputError(msg, code="edited-by-hand")


class Staging:
    """The folder in which a dataset is built.

    Volumes are written to ``cases/``, because the set of a case is known only after all cases have been read. They are
    moved to their places at the end.

    Args:
        target: The dataset.
        shared: Other processes use the folder at the same time, so nothing of an earlier run is moved.
    """

    def __init__(self, target: Path, *, shared: bool = False) -> None:
        self.target = target
        self.folder = _beside(target, "partial")
        for path in (self.folder, *(self.folder / name for name in (*_PLACES, _CASES, _FINISHED))):
            if path.is_symlink():
                # Nothing must be written to the target of a link.
                path.unlink()
        for name in (_CASES, _FINISHED):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for name in () if shared else _PLACES:
            # A run was interrupted while it moved files to their places.
            for path in sorted((self.folder / name).glob("[!.]*")):
                path.replace(self.folder / _CASES / path.name)
        self._earlier: dict[str, list[Finished]] = defaultdict(list)
        for folder in (self.folder, target):
            for record in _finished_cases(folder):
                self._earlier[record.case].append(Finished(folder, record))

    def earlier(self, case: str) -> tuple[Finished, ...]:
        """Return the files that earlier runs have written for a case, those of the latest run first."""
        return tuple(self._earlier.get(case, ()))

    def publish(self, records: Iterable[CaseRecord], placed: Iterable[CaseRecord], texts: dict[str, str]) -> None:
        """Move the dataset to its final place, with these files and no others.

        Args:
            records: The record of every case, with the places of its files in the staging folder.
            placed: The same records in the same order, with the final places of the files.
            texts: The files that describe the dataset, by name.
        """
        for name in _PLACES:
            (self.folder / name).mkdir(exist_ok=True)
        for record, there in zip(records, placed, strict=True):
            for old, new in ((record.image, there.image), (record.mask, there.mask)):
                (self.folder / old).replace(self.folder / new)
        for name, text in texts.items():
            write_text(self.folder / name, text, durable=False)
        self._keep_only({*texts, *(name for there in placed for name in (there.image, there.mask))})
        previous = _beside(self.target, "previous")
        if self.target.exists():
            rename(self.target, previous)
        rename_flushed(self.folder, self.target)
        if previous.exists():
            _discard(self.target, previous)

    def _keep_only(self, names: set[str]) -> None:
        for path, name in _files(self.folder, hidden=True):
            if name not in names:
                path.unlink()
        for path in sorted((path for path in self.folder.rglob("*") if path.is_dir()), reverse=True):
            if path.relative_to(self.folder).as_posix() not in _PLACES:
                path.rmdir()


@dataclass(frozen=True)
class Finished:
    """Files of a case that an earlier run has written.

    Attributes:
        folder: The dataset or staging folder that contains the files.
        record: The record of the case.
    """

    folder: Path
    record: CaseRecord

    def taken_into(self, staging: Path) -> CaseRecord | None:
        """Put the files into the folder `staging` and return their record; None if the files have changed since."""
        names = staged(self.record.case)
        for kind, digest in (("image", self.record.image_sha256), ("mask", self.record.mask_sha256)):
            written = getattr(self.record, kind)
            found = next((path for path in (self.folder / written, self.folder / names[kind]) if path.is_file()), None)
            if found is None or sha256(found) != digest:
                return None
            if found != staging / names[kind]:
                with written_beside(staging / names[kind], durable=False) as partial:
                    _link_or_copy(found, partial)
        record = self.record.moved(**names)
        finish(staging, record)
        return record


def staged(case: str) -> dict[str, str]:
    """Return the places of image and mask in the staging folder, before the set of the case is known."""
    return {"image": f"{_CASES}/{case}_0000{FILE_ENDING}", "mask": f"{_CASES}/{case}{FILE_ENDING}"}


def finish(staging: Path, record: CaseRecord) -> None:
    """Record that both files of a case are written, so that later runs can reuse them."""
    # Not flushed to the disk: the next run compares the files with their checksums anyway.
    write_json(staging / _FINISHED / f"{record.case}.json", record.as_json(), durable=False)


def remove_staging(target: Path) -> None:
    """Remove the staging folder that an interrupted run has left for `target`."""
    _remove(_beside(target, "partial"))


def _beside(target: Path, what: str) -> Path:
    return target.with_name(f".{target.name}.{what}")


def _is_picture(name: str) -> bool:
    return name.startswith(f"{QC_FOLDER}/") and name.endswith((".png", ".html"))


def _files(folder: Path, *, hidden: bool = False) -> Iterator[tuple[Path, str]]:
    """Yield the files below a folder with their relative names."""
    for path in sorted(folder.rglob("*")):
        if (path.is_symlink() or path.is_file()) and (hidden or not path.name.startswith(".")):
            yield path, path.relative_to(folder).as_posix()


def _link_or_copy(found: Path, new: Path) -> None:
    # Safe, because volumes are replaced and never written in place; takes no time and no space.
    try:
        new.hardlink_to(found)
    except OSError:
        shutil.copyfile(found, new)


def _finished_cases(folder: Path) -> list[CaseRecord]:
    """Return the records of all finished cases of a dataset or of a staging folder."""
    record = DatasetRecord.read(folder)
    cases = {} if record is None else {case.case: case for case in record.cases}
    for path in sorted((folder / _FINISHED).glob("[!.]*.json")):
        case = CaseRecord.read(path)
        if case is not None and case.case == path.stem:
            cases[case.case] = case
    return list(cases.values())


def _remove(folder: Path) -> None:
    """Remove a folder; of a link, remove the link only."""
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder, ignore_errors=True)


def _discard(target: Path, folder: Path) -> None:
    # Renamed first, so that a folder called "previous" is always complete.
    discarded = _beside(target, "discarded")
    _remove(discarded)
    rename(folder, discarded)
    _remove(discarded)
