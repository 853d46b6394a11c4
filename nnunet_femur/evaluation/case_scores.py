"""Scores of one case: the result that :func:`~nnunet_femur.evaluation.score` returns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from nnunet_femur.evaluation.counts import PLANES
from nnunet_femur.evaluation.metrics import METRICS, OVERLAP_METRICS
from nnunet_femur.evaluation.regions import REGIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from nnunet_femur.evaluation.counts import AxisProfile, Overlap
    from nnunet_femur.evaluation.policies import EmptyPolicy


class Measure(NamedTuple):
    """The address of a score in scores.csv.

    Attributes:
        protocol: ``volume``, ``slices`` or ``paper``, see :mod:`~nnunet_femur.evaluation.protocols`.
        plane: One of :data:`~nnunet_femur.evaluation.PLANES`; ``all`` for scores of the volume; ``pooled`` for slices
            of all planes.
        region: One of :data:`~nnunet_femur.evaluation.REGIONS`.
        metric: One of :data:`~nnunet_femur.evaluation.METRICS`, a volume such as ``truth_volume``, or a count such as
            ``slices``.

    Example:
        >>> from nnunet_femur import score
        >>> scores = score("prediction.nrrd", "reference.nrrd")
        >>> scores[Measure("paper", "pooled", "whole", "slices")]
        67.0
    """

    protocol: str
    plane: str
    region: str
    metric: str


class Score(NamedTuple):
    """One number about one case; the names are columns of scores.csv.

    Attributes:
        protocol: As in :class:`Measure`.
        plane: As in :class:`Measure`.
        region: As in :class:`Measure`.
        metric: As in :class:`Measure`.
        value: The score.
        unit: Its unit; "1" for a number without unit.

    Example:
        >>> Score("volume", "all", "whole", "hd95", 1.5, "mm").measure
        Measure(protocol='volume', plane='all', region='whole', metric='hd95')
    """

    protocol: str
    plane: str
    region: str
    metric: str
    value: float
    unit: str

    @property
    def measure(self) -> Measure:
        """Address of the score."""
        return Measure(*self[:4])


SLICE_METRICS = {name: metric for name, metric in OVERLAP_METRICS.items() if metric.in_slices}
"""Metrics that are always computed slice by slice, too."""


@dataclass(frozen=True)
class SliceScores:
    """Scores of the slices of one plane that contain reference or prediction.

    Attributes:
        index: Index of each slice along its axis, from inferior, posterior or left; shape (n,).
        overlap: Voxels in reference, prediction and both, shape (n,) each.
        values: Scores by name of the metric, shape (n,) each.

    Example:
        >>> from nnunet_femur import score
        >>> axial = score("prediction.nrrd", "reference.nrrd").slices["axial"]
        >>> axial.index[-3:].tolist(), axial.values["dice"][-3:].tolist()    # the two uppermost slices were missed
        ([41, 42, 43], [1.0, 0.0, 0.0])
    """

    index: NDArray[np.int64]
    overlap: Overlap
    values: dict[str, NDArray[np.float64]]

    @classmethod
    def of(cls, index: NDArray[np.int64], overlap: Overlap, policy: EmptyPolicy) -> SliceScores:
        """Score slices by the metrics of voxel counts.

        Args:
            index: Index of each slice along its axis, shape (n,).
            overlap: Their counts.
            policy: Scores of empty masks.
        """
        return cls(index, overlap, overlap_values(overlap, policy))

    @property
    def reference(self) -> NDArray[np.int64]:
        """Voxels in the reference, shape (n,)."""
        return self.overlap.reference

    @property
    def size(self) -> NDArray[np.int64]:
        """Voxels in reference or prediction, shape (n,)."""
        return self.overlap.union


def overlap_values(pairs: Overlap, policy: EmptyPolicy) -> dict[str, NDArray[np.float64]]:
    """Return the scores of n pairs by each of :data:`SLICE_METRICS`, the policy applied; shape (n,) each."""
    return {name: policy.applied(name, metric.compute(pairs), pairs) for name, metric in SLICE_METRICS.items()}


_SHOWN = ("dice", "iou", "hd95", "assd", "nsd2")
"""Scores of the whole volume in the text form of a case."""


@dataclass(frozen=True, repr=False, eq=False)
class CaseScores:
    """Scores of one case.

    ``scores["dice"]`` is a score of the whole volume, and ``scores["slices", "axial", "whole", "dice"]`` the score at
    any other address (protocol, plane, region, metric). Iteration gives the names of the scores of the whole volume.

    Attributes:
        scores: All scores, as in scores.csv.
        slices: Scores of the slices of the whole bone by plane; the protocol ``slices`` takes their means.
        profile: Agreement along the bone's long axis; None for an empty reference.
        warnings: Assumptions about the two masks that a person should check, a sentence each.

    Example:
        >>> from nnunet_femur import score
        >>> scores = score("prediction.nrrd", "reference.nrrd")
        >>> scores
        CaseScores(dice 0.97, iou 0.95, hd95 0.00 mm, assd 0.42 mm, nsd2 0.97)
        >>> round(scores["dice"], 4)
        0.9722
        >>> round(scores["slices", "axial", "whole", "dice"], 4)
        0.95
        >>> scores.to_frame().head(1)
          protocol plane region metric     value unit
        0   volume   all  whole   dice  0.972161    1
    """

    scores: tuple[Score, ...]
    slices: dict[str, SliceScores]
    profile: AxisProfile | None
    warnings: tuple[str, ...] = ()

    @cached_property
    def by_measure(self) -> dict[Measure, float]:
        """Value of each score by its address."""
        return {one.measure: one.value for one in self.scores}

    def __getitem__(self, key: str | tuple[str, str, str, str]) -> float:
        """Return a score of the whole volume by its name, or any score by protocol, plane, region and metric.

        Raises:
            KeyError: The case has no such score.
        """
        measure = Measure("volume", "all", "whole", key) if isinstance(key, str) else Measure(*key)
        try:
            return self.by_measure[measure]
        except KeyError:
            msg = f"no score {key!r}; the scores of the volume are {', '.join(self)}"
            raise KeyError(msg) from None

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the scores of the whole volume."""
        return (one.metric for one in self.scores if one[:3] == ("volume", "all", "whole"))

    def to_frame(self) -> pd.DataFrame:
        """Return all scores as a tidy table: a row per score, with the columns of scores.csv that describe one case.

        The columns are protocol, plane, region, metric, value and unit.
        """
        import pandas as pd

        return pd.DataFrame(self.scores, columns=list(Score._fields))

    def __repr__(self) -> str:
        """Return the main scores of the whole volume."""
        shown = [f"{name} {self[name]:.2f}{_unit_text(name)}" for name in _SHOWN]
        return f"{type(self).__name__}({', '.join(shown)})"

    def _repr_html_(self) -> str:
        """Return the scores of the volume by region, and the means over slices by plane, as tables for a notebook."""
        import pandas as pd

        values = self.by_measure
        regions = [region for region in REGIONS if Measure("volume", "all", region, "dice") in values]
        volume = {
            region: {
                f"{metric.label}{_unit_text(name)}": values[Measure("volume", "all", region, name)]
                for name, metric in METRICS.items()
            }
            for region in regions
        }
        planes = {
            plane: {
                metric.label: values[Measure("slices", plane, "whole", name)] for name, metric in SLICE_METRICS.items()
            }
            for plane in PLANES
        }
        tables = (("3D, by region", volume), ("Mean over slices, whole bone", planes))
        return "\n".join(
            f"<p>{title}</p>\n{pd.DataFrame(content).to_html(float_format='{:.3f}'.format)}"
            for title, content in tables
        )


def _unit_text(name: str) -> str:
    unit = METRICS[name].unit
    return "" if unit == "1" else f" {unit}"
