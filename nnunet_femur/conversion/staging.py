"""Build a dataset beside its place and put it there whole: what a killed run leaves is used or removed by the next.

Beside ``DatasetNNN_Name`` there may stand, hidden from nnU-Net:

``.DatasetNNN_Name.partial``
    The dataset being built. Volumes lie in ``cases/``; ``finished/CASE.json`` is written when both files of a case are.
``.DatasetNNN_Name.previous``
    The dataset that is being replaced, complete. It is there only between two renames.
``.DatasetNNN_Name.discarded``
    What is being deleted.
``.DatasetNNN_Name.lock``
    Locked by the run that builds the dataset; the lock ends with its process.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur import records
from nnunet_femur.atomic_files import rename_flushed, write_json, write_text, written_beside
from nnunet_femur.conversion.record import FILE_ENDING, RECORD_FILE, CaseRecord, read_record
from nnunet_femur.errors import InputError
from nnunet_femur.records import sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

_CASES, _FINISHED = "cases", "finished"
_PLACES = ("imagesTr", "labelsTr", "imagesTs", "labelsTs")

QC_FOLDER = "qc"
"""Folder in a dataset with its pictures, which are drawn from it at any time and are no part of its record."""


def _beside(target: Path, what: str) -> Path:
    return target.with_name(f".{target.name}.{what}")


def locked(target: Path) -> AbstractContextManager[None]:
    """Return the lock under which one process at a time builds `target`.

    Raises:
        SetupError: On entering, if another process is building it.
    """
    busy = f"{target}: another conversion is writing it. Wait until it has ended."
    return records.locked(_beside(target, "lock"), busy=busy)


def recover(target: Path) -> None:
    """Finish or undo a replacement of `target` that was cut off."""
    previous = _beside(target, "previous")
    if previous.exists():
        if target.exists():
            _discard(target, previous)
        else:
            previous.rename(target)
    _remove(_beside(target, "discarded"))


def require_replaceable(target: Path) -> None:
    """Check that `target` may be written.

    Raises:
        InputError: Another dataset has its number, or what stands there was not made by this package.
    """
    if target.is_symlink():
        msg = f"{target}: is a link; a dataset is replaced by renaming. Move it away, or give the folder it leads to."
        raise InputError(msg)
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
        name
        for path, name in _files(target)
        if name != RECORD_FILE and not _is_picture(name) and written.get(name) != sha256(path)
    ]
    if changed:
        names = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
        msg = (
            f"{target}: the source or the options have changed, so it would be made anew, but it holds files that were "
            f"changed or added by hand: {names}. Move the dataset away to keep them, or delete it."
        )
        raise InputError(msg)


def _is_picture(name: str) -> bool:
    return name.startswith(f"{QC_FOLDER}/") and name.endswith((".png", ".html"))


def _files(folder: Path, *, hidden: bool = False) -> Iterator[tuple[Path, str]]:
    """The files below a folder and their relative names."""
    for path in sorted(folder.rglob("*")):
        if (path.is_symlink() or path.is_file()) and (hidden or not path.name.startswith(".")):
            yield path, path.relative_to(folder).as_posix()


class Staging:
    """The folder in which a dataset is built.

    Volumes are written to ``cases/``, since the set that a case belongs to is known only when all are read; they are
    renamed to their places at the end.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.folder = _beside(target, "partial")
        for path in (self.folder, *(self.folder / name for name in (*_PLACES, _CASES, _FINISHED))):
            if path.is_symlink():
                # Whoever put it there, nothing is written where it leads.
                path.unlink()
        for name in (_CASES, _FINISHED):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for name in _PLACES:
            # A run was cut off while it put files in their places.
            for path in sorted((self.folder / name).glob("[!.]*")):
                path.replace(self.folder / _CASES / path.name)
        self._earlier: dict[str, list[Finished]] = defaultdict(list)
        for folder in (self.folder, target):
            for record in _finished_cases(folder):
                self._earlier[record.case].append(Finished(folder, record))

    def earlier(self, case: str) -> tuple[Finished, ...]:
        """What earlier runs have finished of a case, the latest first."""
        return tuple(self._earlier.get(case, ()))

    def publish(self, records: Iterable[CaseRecord], placed: Iterable[CaseRecord], texts: dict[str, str]) -> None:
        """Put the dataset in its place, with these files and no others.

        Args:
            records: Every case, as its files lie in the staging folder.
            placed: The same cases in the same order, as their files should lie in the dataset.
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
            self.target.rename(previous)
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
    """A case that an earlier run has finished.

    Attributes:
        folder: The dataset or staging folder that holds its files.
        record: What that run has noted.
    """

    folder: Path
    record: CaseRecord

    def taken_into(self, staging: Path) -> CaseRecord | None:
        """Its record with its files in the folder `staging`; None if they are not as they were written."""
        names = staged(self.record.case)
        for kind, digest in (("image", self.record.image_sha256), ("mask", self.record.mask_sha256)):
            written = getattr(self.record, kind)
            held = next((path for path in (self.folder / written, self.folder / names[kind]) if path.is_file()), None)
            if held is None or sha256(held) != digest:
                return None
            if held != staging / names[kind]:
                with written_beside(staging / names[kind], durable=False) as partial:
                    _link_or_copy(held, partial)
        record = self.record.moved(**names)
        finish(staging, record)
        return record


def staged(case: str) -> dict[str, str]:
    """Where the image and the mask of a case lie until its set is known, relative to the staging folder."""
    return {"image": f"{_CASES}/{case}_0000{FILE_ENDING}", "mask": f"{_CASES}/{case}{FILE_ENDING}"}


def finish(staging: Path, record: CaseRecord) -> None:
    """Note that both files of a case are written, so that no later run writes them again."""
    # Not worth a wait for the disk: the next run compares the files with their checksums.
    write_json(staging / _FINISHED / f"{record.case}.json", record.as_json(), durable=False)


def drop_staging(target: Path) -> None:
    """Remove what a cut-off run has begun for `target`; for when nothing is to be done."""
    _remove(_beside(target, "partial"))


def _link_or_copy(held: Path, new: Path) -> None:
    # A link takes no time and no space; a volume is only ever replaced, never written into.
    try:
        new.hardlink_to(held)
    except OSError:
        shutil.copyfile(held, new)


def _finished_cases(folder: Path) -> list[CaseRecord]:
    """The finished cases of a dataset, or of a staging folder at any point of its life; the latest record last."""
    record = read_record(folder)
    cases = {} if record is None else {case.case: case for case in record.cases}
    for path in sorted((folder / _FINISHED).glob("[!.]*.json")):
        case = CaseRecord.read(path)
        if case is not None and case.case == path.stem:
            cases[case.case] = case
    return list(cases.values())


def _remove(folder: Path) -> None:
    """Remove a folder, or a link in its place but not what it leads to."""
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder, ignore_errors=True)


def _discard(target: Path, folder: Path) -> None:
    # Renamed first: a folder that is called "previous" is always complete.
    discarded = _beside(target, "discarded")
    _remove(discarded)
    folder.rename(discarded)
    _remove(discarded)
