"""Results of a batch of predictions, and its records: ``predictions.json`` and ``predictions.csv``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from nnunet_femur.atomic_files import cannot_write, write_json, write_text
from nnunet_femur.records import Provenance, read_json
from nnunet_femur.shards import with_shards

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import pandas as pd

    from nnunet_femur.shards import Shard

RECORD, TABLE = "predictions.json", "predictions.csv"

REVIEW = "review.json"
"""File beside the masks with the marks that ``nnfemur review`` gives them."""

_COLUMNS = (
    *("case", "review_score", "side", "side_source", "volume_ml", "pieces", "disagreement", "seconds"),
    *("warnings", "findings", "error", "source", "files"),
)


@dataclass(frozen=True)
class CaseResult:
    """One case of a batch.

    Attributes:
        case: Name of the case.
        source: Path of the CT as it was given.
        state: State of the CT's files when it was predicted, see :meth:`nnunet_femur.imaging.sources.Source.state`.
        settings: Fingerprint of the model and the options.
        files: Names of the written files and their sizes in bytes.
        volume_ml: Volume of the femur in ml.
        pieces: Number of its pieces.
        disagreement: 1 minus the mean Dice of all pairs of folds; None with one fold.
        seconds: Time that the case took, in s: the sum of its stages. Parts of other cases may have run meanwhile.
        stage_seconds: Seconds of each stage, of :data:`nnunet_femur.prediction.stage_times.STAGES`; empty in records of
            older versions, and without a mask.
        search: Record of the part of the CT that was searched, see
            :class:`nnunet_femur.prediction.search_record.Search`; empty in records of older versions.
        precision: Precision that the network computed in, such as "float32"; empty in records of older versions.
        backend: Library that computed the network, "torch" or "openvino"; empty in records of older versions.
        warnings: Short texts about what is doubtful in the CT or implausible in the mask.
        side: "left", "right", "both" or "unknown"; empty in records of older versions, and without a mask.
        side_source: Origin of the side, see :attr:`Femur.side_source`.
        findings: Codes of those warnings that have one, of :data:`nnunet_femur.kinds.KINDS` or of
            :data:`nnunet_femur.prediction.prediction_kinds.PREDICTION_KINDS`.
        review_score: Urgency of a look at the case, from 0 (nothing is doubtful) to 1 (or no mask), see
            :func:`nnunet_femur.prediction.prediction_kinds.review_score`; None in records of older versions.
        error: Reason why there is no mask; empty if there is one.
        code: Code of the error, of :data:`nnunet_femur.errors.CODES` or of a finding; empty for an unexpected one.
    """

    case: str
    source: str
    state: dict[str, int] = field(default_factory=dict)
    settings: str = ""
    files: dict[str, int] = field(default_factory=dict)
    volume_ml: float | None = None
    pieces: int | None = None
    disagreement: float | None = None
    seconds: float = 0.0
    precision: str = ""
    warnings: tuple[str, ...] = ()
    side: str = ""
    side_source: str = ""
    findings: tuple[str, ...] = ()
    review_score: float | None = None
    error: str = ""
    code: str = ""
    stage_seconds: dict[str, float] = field(default_factory=dict)
    search: dict[str, Any] = field(default_factory=dict)
    backend: str = ""

    def is_current(self, folder: Path, *, settings: str, state: Mapping[str, int]) -> bool:
        """Return True if a run with these settings and this CT would give this result, and its files are unchanged.

        Args:
            folder: The folder of the predictions.
            settings: Fingerprint of the model and the options now.
            state: State of the CT's files now.
        """
        made = Provenance(self.settings, self.state, self.files)
        return not self.error and made.is_current(settings=settings, inputs=dict(state), folder=folder)


@dataclass(frozen=True, repr=False)
class PredictionResult:
    """Results of :func:`~nnunet_femur.predict`.

    Attributes:
        folder: The folder with the masks and records.
        results: Results of the cases that were asked for, in their order.
        skipped: Names of the cases that an earlier run had done.
        notes: Deviations from the options, see :attr:`nnunet_femur.Segmenter.notes`.

    Example:
        >>> from pathlib import Path
        >>> done = CaseResult("L001", "L001.nrrd", volume_ml=412.0, pieces=1, review_score=0.05)
        >>> problem = "L002.nrrd: is truncated. Copy it again."
        >>> failed = CaseResult("L002", "L002.nrrd", error=problem, review_score=1.0)
        >>> result = PredictionResult(Path("out"), (done, failed), skipped=())
        >>> result
        PredictionResult(out: 2 cases, 1 failed)
        >>> result.complete
        False
        >>> result.to_frame().loc["L001", "volume_ml"]
        412.0
        >>> result.review_list()["review_score"].to_dict()
        {'L002': 1.0, 'L001': 0.05}
    """

    folder: Path
    results: tuple[CaseResult, ...]
    skipped: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """True if every case has a mask."""
        return not self.failed

    @property
    def failed(self) -> tuple[CaseResult, ...]:
        """The cases without a mask; their ``error`` contains the reason."""
        return tuple(result for result in self.results if result.error)

    def to_frame(self) -> pd.DataFrame:
        """Return a table with a row for each case, indexed by case, with the columns of ``predictions.csv``."""
        return _frame(self.results).set_index("case")

    def review_list(self) -> pd.DataFrame:
        """Return the table of :meth:`to_frame` in the order of review: the largest ``review_score`` first."""
        return _frame(self.for_review()).set_index("case")

    def for_review(self) -> tuple[CaseResult, ...]:
        """Return the cases in the order of review: the largest score first, equal ones in their given order."""
        return tuple(sorted(self.results, key=lambda result: -(result.review_score or 0.0)))

    def __repr__(self) -> str:
        """Return the folder and the numbers of cases."""
        counts = [f"{len(self.results)} cases"]
        counts += [f"{len(self.failed)} failed"] if self.failed else []
        counts += [f"{len(self.skipped)} done before"] if self.skipped else []
        return f"{type(self).__name__}({self.folder}: {', '.join(counts)})"

    def _repr_html_(self) -> str:
        """Show the table of the cases."""
        html: str = self.to_frame().to_html(na_rep="")
        return html


def _frame(results: Iterable[CaseResult]) -> pd.DataFrame:
    import pandas as pd

    rows = [
        {
            **asdict(result),
            "warnings": "; ".join(result.warnings),
            "findings": " ".join(result.findings),
            "files": " ".join(result.files),
        }
        for result in results
    ]
    # Objects, since integers beside missing values would become floats.
    return pd.DataFrame(rows, columns=list(_COLUMNS), dtype=object)


def read_results(folder: Path) -> dict[str, CaseResult]:
    """Return the results of earlier runs by case; empty without a record, or with one of an unknown version.

    Records of shards count as well; of several results of a case, the one in the latest record is returned.

    Args:
        folder: The folder of the predictions.
    """
    found: dict[str, CaseResult] = {}
    for path in with_shards(folder, RECORD):
        found |= _read(path)
    return found


def join_results(folder: Path) -> Path:
    """Write the records of all cases from those of shards, and return the path of ``predictions.json``.

    Args:
        folder: The folder of the predictions.

    Raises:
        SetupError: A record cannot be written (code "cannot-write").
    """
    latest = read_json(with_shards(folder, RECORD)[-1])
    about = {name: value for name, value in latest.items() if name != "cases"} if isinstance(latest, dict) else {}
    try:
        write_results(folder, read_results(folder).values(), about)
    except OSError as error:
        raise cannot_write(folder / RECORD, error) from error
    return folder / RECORD


def _read(path: Path) -> dict[str, CaseResult]:
    content = read_json(path)
    try:
        results = [
            CaseResult(
                **{**case, "warnings": tuple(case["warnings"]), "findings": tuple(case.get("findings", ()))},
            )
            for case in content["cases"]
        ]
    except (TypeError, KeyError):
        return {}
    return {result.case: result for result in results}


def marked_cases(folder: Path) -> set[str]:
    """Return the cases of a folder that ``nnfemur review`` marks as accepted or to be corrected.

    Their masks may contain corrections by hand.

    Args:
        folder: The folder of the predictions.
    """
    content = read_json(folder / REVIEW)
    try:
        return {case["case"] for case in content["cases"] if case["mark"] in ("accept", "correct")}
    except (TypeError, KeyError):
        return set()


def write_results(
    folder: Path, results: Iterable[CaseResult], about: Mapping[str, Any], *, shard: Shard | None = None
) -> None:
    """Write both records, each whole or not at all; of a shard, only ``predictions.json``, beside those of others.

    Args:
        folder: The folder of the predictions.
        results: All cases of that folder, also those of earlier runs.
        about: Model, options and versions of this run.
        shard: The part of the cases that they belong to; None for all cases.
    """
    ordered = sorted(results, key=lambda result: result.case)
    path = folder / RECORD if shard is None else shard.file(folder, RECORD)
    path.parent.mkdir(exist_ok=True)
    write_json(path, {**about, "cases": [asdict(result) for result in ordered]})
    if shard is not None:
        return
    table = _frame(ordered)
    for column, digits in (("review_score", 3), ("volume_ml", 2), ("disagreement", 4)):
        table[column] = [None if value is None else f"{value:.{digits}f}" for value in table[column]]
    write_text(folder / TABLE, table.to_csv(index=False, lineterminator="\n"))
