"""``run.json``, the record of the baseline: settings and outcome of each case, so that a rerun does only the rest."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.atomic_files import cannot_write, write_json
from nnunet_femur.errors import InputError
from nnunet_femur.imaging.dicom_files import dicom_format
from nnunet_femur.records import Provenance, read_json, sha256
from nnunet_femur.shards import with_shards

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nnunet_femur.baselines.settings import Job, Outcome

RUN_JSON = "run.json"
"""Name of the record of a dataset's masks."""

METHOD = "TotalSegmentator"
"""Name of the method in the record."""


class RunRecord:
    """The record of the masks in a folder, written again after every case.

    Args:
        path: The file.
        settings: Settings that determine the masks, see :meth:`Settings.record`.
        device: The device that computes them.
        others: Records to read in place of the file, the latest last: those of all shards.
    """

    def __init__(self, path: Path, settings: dict[str, Any], *, device: str, others: Sequence[Path] = ()) -> None:
        self.path = path
        cases: dict[str, Any] = {}
        for file in others or (path,):
            cases |= _cases_of(read_json(file), settings)
        self._joins = bool(others)
        self.content: dict[str, Any] = {
            "method": METHOD,
            "works_in_slices": False,
            "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
            "settings": settings,
            "device": device,
            "platform": platform.platform(),
            "cases": cases,
        }
        self._started: dict[str, list[Any] | None] = {}

    @property
    def log(self) -> Path:
        """File beside the record with everything that TotalSegmentator prints."""
        return self.path.with_name(self.path.name.removesuffix("run.json") + "totalsegmentator.log")

    def is_current(self, job: Job) -> bool:
        """Return True if the mask of a case exists unchanged, made with the same settings from the same CT."""
        known = self.content["cases"].get(job.case)
        if not isinstance(known, dict) or known.get("problem", "") is not None:
            return False
        identity, also = self._identity(job), [path.name for path in job.also]
        if identity is None or not known.get("files", {}).keys() >= set(also):
            return False
        return _is_mask_of(known, job.output, also=also, inputs=identity)

    def start(self, jobs: Sequence[Job]) -> list[Job]:
        """Remove the cases that are to be done, so that the record never lists a mask that does not exist.

        Args:
            jobs: All cases.

        Returns:
            The cases without a current mask.

        Raises:
            SetupError: The record cannot be written (code "cannot-write").
        """
        left = [job for job in jobs if not self.is_current(job)]
        # A CT that is changed while it is segmented must be segmented again, so its state is that of now.
        self._started = {job.case: self._identity(job) for job in left}
        done = {job.case for job in jobs} - {job.case for job in left}
        removed = self.content["cases"].keys() - done
        self.content["cases"] = {case: known for case, known in self.content["cases"].items() if case in done}
        if left or removed or self._joins:
            self.write()
        return left

    def add(self, job: Job, outcome: Outcome) -> None:
        """Record the outcome of a case after :meth:`start`.

        Args:
            job: The case.
            outcome: Its outcome.

        Raises:
            SetupError: The record cannot be written (code "cannot-write").
        """
        self.content["cases"][job.case] = {
            "ct": self._started.get(job.case),
            "seconds": round(outcome.seconds, 2),
            "volume_ml": round(outcome.volume_ml, 2),
            "problem": outcome.problem,
            "warnings": list(outcome.warnings),
        } | ({"code": outcome.code} if outcome.problem else _checksums(job))
        self.write()

    def _identity(self, job: Job) -> list[Any] | None:
        """Return path, bytes and latest change of a CT, of a folder those of its files; None if it cannot be read.

        The mask and the files beside it may be in the folder; they do not count, nor do DICOM files of other masks.
        """
        written = {path.resolve() for path in (*job.outputs, self.path, self.log)}
        try:
            files = [job.ct]
            if job.ct.is_dir():
                inside = (file for file in job.ct.rglob("*") if file.is_file() and dicom_format(file) is None)
                files = sorted(file for file in inside if file.resolve() not in written)
            stats = [file.stat() for file in files]
            return [
                str(job.ct.resolve()),
                sum(stat.st_size for stat in stats),
                max((stat.st_mtime_ns for stat in stats), default=0),
            ]
        except OSError:
            return None

    def write(self) -> None:
        """Write the record.

        Raises:
            SetupError: It cannot be written (code "cannot-write").
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.path, self.content)
        except OSError as error:
            raise cannot_write(self.path, error) from error


def _cases_of(content: Any, settings: Any) -> dict[str, Any]:
    """Return the cases of a record; none if it has other settings."""
    if not isinstance(content, dict) or _renamed(content.get("settings")) != settings:
        return {}
    cases = content.get("cases")
    return cases if isinstance(cases, dict) else {}


def join_records(folder: Path) -> Path:
    """Write ``run.json`` of all cases from the records of shards, and return its path.

    Args:
        folder: Folder of the masks.

    Raises:
        SetupError: The record cannot be written (code "cannot-write").
    """
    files = with_shards(folder, RUN_JSON)
    latest = read_json(files[-1])
    record = RunRecord(folder / RUN_JSON, _renamed(latest["settings"]), device=latest["device"], others=files)
    record.content |= {name: value for name, value in latest.items() if name != "cases"}
    record.write()
    return record.path


def _checksums(job: Job) -> dict[str, Any]:
    also = {path.name: sha256(path) for path in job.also}
    return {"mask_sha256": sha256(job.output), **({"files": also} if also else {})}


def _renamed(settings: Any) -> Any:
    """Return settings with the names of now; older versions called dummy weights ``stand_in``."""
    if not isinstance(settings, dict) or not isinstance(settings.get("weights"), list):
        return settings
    names = {"stand_in": "dummy"}
    weights = [
        {names.get(name, name): value for name, value in each.items()} if isinstance(each, dict) else each
        for each in settings["weights"]
    ]
    return {**settings, "weights": weights}


def recorded_warnings(record: Path) -> tuple[str, ...]:
    """Return the warnings about the CTs of a record; empty for a record of an older version."""
    content = read_json(record)
    cases = content.get("cases", {}) if isinstance(content, dict) else {}
    return tuple(warning for case in cases.values() for warning in case.get("warnings", ()))


def require_ours(mask: Path, record: Path) -> None:
    """Refuse to overwrite a mask or record that the baseline has not written, or that was changed since.

    Args:
        mask: The mask to be written.
        record: Its record.

    Raises:
        InputError: One of them exists and is not the baseline's (code "exists").
    """
    content = read_json(record)
    ours = isinstance(content, dict) and content.get("method") == METHOD and isinstance(content.get("cases"), dict)
    known = content["cases"].get(mask.name) if ours else None
    if mask.exists() and not (
        isinstance(known, dict) and "mask_sha256" in known and _is_mask_of(known, mask, inputs=known.get("ct"))
    ):
        foreign, problem = mask, "exists, and nnfemur did not write it, or it was changed since."
    elif record.exists() and not ours:
        foreign, problem = record, "exists, and is not a record that nnfemur wrote."
    else:
        return
    msg = f"{foreign}: {problem} Move it away, or choose another name: nnfemur baseline -i CT -o MASK"
    raise InputError(msg, code="exists")


def _is_mask_of(known: dict[str, Any], mask: Path, *, inputs: Any, also: Sequence[str] = ()) -> bool:
    """Return True if a file is the unchanged mask of a case's entry, made from this CT, and so are the files `also`.

    Records of other settings are discarded when they are read, so settings need no comparison here. Entries of older
    versions contain no checksum of the mask.
    """
    outputs = {mask.name: known["mask_sha256"]} if known.get("mask_sha256") else {}
    outputs |= {name: known["files"][name] for name in also}
    made = Provenance(settings=None, inputs=known.get("ct"), outputs=outputs)
    return mask.is_file() and made.is_current(settings=None, inputs=inputs, folder=mask.parent)
