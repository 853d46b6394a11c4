"""Methods beside a second reader, whose agreement with the reference is as much as a person reaches.

A second reader is not a competitor: the reader is neither tested for being better nor ranked. The difference of a
method from the reader shows how near the method is to that agreement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.comparison.statistics.claims import gain_interval, patient_gains

if TYPE_CHECKING:
    import pandas as pd

    from nnunet_femur.comparison.statistics.bootstrap import Interval


@dataclass(frozen=True)
class BesideRater:
    """A method and a second reader, both against the reference, over the cases with scores of both.

    Attributes:
        method: Label of the method.
        rater: Name of the second reader.
        cases: Number of cases.
        patients: Number of patients of these cases. Means and gains count each patient once.
        of_method: Mean score of the method; NaN without a case.
        of_rater: The same of the reader.
        gain: Mean over patients of how much nearer to the ideal the method is than the reader; below 0 if the reader
            agrees better with the reference. NaN without a case.
        interval: 95 % interval of the mean gain, by Student's t; None with fewer than two patients.
    """

    method: str
    rater: str
    cases: int
    patients: int
    of_method: float
    of_rater: float
    gain: float
    interval: Interval | None


def on_shared_cases(method: pd.Series, rater: pd.Series, patients: pd.Series) -> tuple[pd.Series, pd.Series, int]:
    """Return the mean scores of each patient over the cases with scores of both, and the number of these cases.

    Args:
        method: Score of each case. NaN is left out.
        rater: The same of the reader.
        patients: Patient of each case of the method.
    """
    shared = method.dropna().index.intersection(rater.dropna().index)
    names = patients.loc[shared].to_numpy()
    of_method, of_rater = (one.loc[shared].groupby(names).mean() for one in (method, rater))
    return of_method, of_rater, len(shared)


def beside_rater(method: pd.Series, rater: pd.Series, patients: pd.Series, *, ideal: float) -> BesideRater:
    """Return a method beside a second reader.

    Args:
        method: Score of each case; its name is the method's label. NaN is left out.
        rater: The same of the reader.
        patients: Patient of each case of the method.
        ideal: The score of a perfect prediction.

    Example:
        >>> import pandas as pd
        >>> method = pd.Series([0.95, 0.94, 0.96], index=list("xyz"), name="A")
        >>> reader = pd.Series([0.97, 0.98], index=list("xz"), name="reader 2")
        >>> patients = pd.Series(["p1", "p2", "p3"], index=list("xyz"))
        >>> found = beside_rater(method, reader, patients, ideal=1)
        >>> found.cases, round(found.of_method, 3), round(found.gain, 3)
        (2, 0.955, -0.02)
    """
    of_method, of_rater, cases = on_shared_cases(method, rater, patients)
    gains = patient_gains(of_method, of_rater, ideal=ideal)
    return BesideRater(
        method=str(method.name),
        rater=str(rater.name),
        cases=cases,
        patients=gains.size,
        of_method=float(of_method.mean()),
        of_rater=float(of_rater.mean()),
        gain=float(gains.mean()) if gains.size else float("nan"),
        interval=gain_interval(gains, 0.95),
    )
