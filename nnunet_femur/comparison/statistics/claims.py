"""Claims about two methods: that one is better, not worse, or equivalent, and how many patients would settle it.

All of them are about the mean gain over patients, |second - ideal| - |first - ideal|, which is above 0 if the first
method is better. Its t-distribution is an approximation; with few patients, one unusual patient determines it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from nnunet_femur.comparison.statistics.bootstrap import Interval

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

LEVEL = 0.05
"""Largest probability of a false claim that is accepted, of each one-sided test."""

FEWEST_PATIENTS = 5
"""Fewest patients of a claim. Student's t supposes normal gains. The sign test does not, and cannot reach :data:`LEVEL`
with four patients: 1 / 2^4 = 0.0625."""

POWER = 0.8
"""Probability with which the needed number of patients settles a question."""

MOST_PATIENTS = 10_000
"""Largest number of patients that is reported as needed; beyond it, the question is practically open."""

_DECIMALS = 12
"""Gains that are equal to so many decimals are equal: they differ by rounding errors only."""

Verdict = Literal["better", "equivalent", "not worse", "worse", "undecided"]
"""Result of a comparison with a margin. "worse": worse by more than nothing; "undecided": none of the others."""


@dataclass(frozen=True)
class Claim:
    """The claim that one method is better than another.

    Attributes:
        first: Label of the method that is claimed to be better.
        second: Label of the other method.
        n: Number of patients with scores of both methods.
        gain: Mean over patients of the gain, in the metric's unit.
        interval: 95 % interval of the mean gain, by Student's t; None with fewer than two patients.
        false: Probability that the claim is false, which is that the true mean gain is not above 0, after
            Christodoulou et al. (arXiv 2505.04720): Student's t with n - 1 degrees of freedom at
            -gain / (sd / sqrt(n)). This is the posterior probability with the prior 1 / variance. None with fewer than
            two patients.
        needed: Number of patients that would show the gain at :data:`LEVEL` with :data:`POWER`, if its mean and
            standard deviation are those seen; None if the claim holds already, the gain is not above 0, or more than
            :data:`MOST_PATIENTS` are needed.
    """

    first: str
    second: str
    n: int
    gain: float
    interval: Interval | None
    false: float | None
    needed: int | None

    @property
    def holds(self) -> bool:
        """True if the probability of a false claim is at most :data:`LEVEL`, and patients are not too few to say so."""
        return self.n >= FEWEST_PATIENTS and self.false is not None and self.false <= LEVEL


@dataclass(frozen=True)
class MarginTest:
    """The comparison of a method with a reference method, up to a margin.

    Attributes:
        method: Label of the method.
        against: Label of the method that it is compared with.
        n: Number of patients with scores of both methods.
        margin: Largest loss that does not count, in the metric's unit.
        gain: Mean over patients of the method's gain, in the metric's unit.
        interval: 90 % interval of the mean gain, by Student's t; None with fewer than two patients. Its lower bound
            above -margin is the test of non-inferiority at 5 %, and both bounds within the margin are the two one-sided
            tests of equivalence (TOST; Schuirmann 1987).
        p_not_worse: One-sided p-value of non-inferiority; None with fewer than two patients.
        p_equivalent: The larger p-value of both one-sided tests; None with fewer than two patients.
        verdict: What the interval shows.
        needed: Number of patients that would show non-inferiority with :data:`POWER`, if mean and standard deviation of
            the gain are those seen; None if it is shown, or cannot be.
    """

    method: str
    against: str
    n: int
    margin: float
    gain: float
    interval: Interval | None
    p_not_worse: float | None
    p_equivalent: float | None
    verdict: Verdict
    needed: int | None


def claim_better(first: pd.Series, second: pd.Series, *, ideal: float) -> Claim:
    """Return how well scores support the claim that the first method is better than the second.

    Args:
        first: Mean score of each patient; its name is the method's label. NaN is left out.
        second: The same of the other method.
        ideal: The score of a perfect prediction.

    Example:
        Gains of 0.01, 0.02 and 0.03: t = 0.02 / (0.01 / sqrt(3)) = 3.46 with two degrees of freedom. Three patients
        are too few for a claim.

        >>> import pandas as pd
        >>> a = pd.Series([0.95, 0.94, 0.96], index=list("xyz"), name="A")
        >>> b = pd.Series([0.94, 0.92, 0.93], index=list("xyz"), name="B")
        >>> claim = claim_better(a, b, ideal=1)
        >>> round(claim.gain, 3), round(claim.false, 3), claim.holds
        (0.02, 0.037, False)
    """
    gains = patient_gains(first, second, ideal=ideal)
    false = None if gains.size < 2 else _p_above(gains, 0.0)
    settled = false is not None and false <= LEVEL
    return Claim(
        first=str(first.name),
        second=str(second.name),
        n=gains.size,
        gain=_mean(gains),
        interval=gain_interval(gains, 0.95),
        false=false,
        needed=None if settled else patients_needed(gains),
    )


def compare_with_margin(method: pd.Series, against: pd.Series, *, ideal: float, margin: float) -> MarginTest:
    """Return what scores show about a method that may be worse than another one by a margin.

    Args:
        method: Mean score of each patient; its name is the method's label. NaN is left out.
        against: The same of the method to compare with.
        ideal: The score of a perfect prediction.
        margin: Largest loss that does not count, above 0, in the metric's unit.

    Example:
        >>> import pandas as pd
        >>> a = pd.Series([0.949, 0.941, 0.960, 0.951], index=list("wxyz"), name="A")
        >>> b = pd.Series([0.950, 0.940, 0.962, 0.950], index=list("wxyz"), name="B")
        >>> found = compare_with_margin(a, b, ideal=1, margin=0.01)
        >>> found.verdict, round(found.interval.low, 4), round(found.interval.high, 4)
        ('equivalent', -0.002, 0.0015)
    """
    gains = patient_gains(method, against, ideal=ideal)
    interval = gain_interval(gains, 1 - 2 * LEVEL)
    not_worse = None if interval is None else _p_above(gains, -margin)
    not_better = None if interval is None else _p_above(-gains, -margin)
    shown = not_worse is not None and not_worse <= LEVEL
    return MarginTest(
        method=str(method.name),
        against=str(against.name),
        n=gains.size,
        margin=margin,
        gain=_mean(gains),
        interval=interval,
        p_not_worse=not_worse,
        p_equivalent=None if not_worse is None or not_better is None else max(not_worse, not_better),
        verdict=_verdict(interval, margin),
        needed=None if shown else patients_needed(gains, margin=margin),
    )


def patient_gains(first: pd.Series, second: pd.Series, *, ideal: float) -> NDArray[np.float64]:
    """Return the gain of the first method for each patient that both have a score of, in the order of the first."""
    shared = first.dropna().index.intersection(second.dropna().index)
    of_first, of_second = (one.loc[shared].to_numpy(float) for one in (first, second))
    return np.asarray(np.round(np.abs(of_second - ideal) - np.abs(of_first - ideal), _DECIMALS))


def patients_needed(gains: NDArray[np.float64], *, margin: float = 0.0) -> int | None:
    """Return the number of patients that shows a mean gain above -margin at :data:`LEVEL` with :data:`POWER`.

    The number is the smallest n for which a one-sided paired t-test has the power, by the noncentral t-distribution
    (Cohen 1988), if mean and standard deviation of the gain are those seen.

    Args:
        gains: Gain of each patient, shape (n,).
        margin: Largest loss that does not count, from 0.

    Returns:
        The number, or None with fewer than two patients, if the mean gain is not above -margin, if all gains are equal,
        or if more than :data:`MOST_PATIENTS` are needed.

    Example:
        A gain of half a standard deviation needs 27 patients.

        >>> import numpy as np
        >>> patients_needed(0.5 + np.array([-1, 1]) * 0.5**0.5)  # mean 0.5, standard deviation 1
        27
    """
    from scipy import stats

    if gains.size < 2:
        return None
    deviation, above = gains.std(ddof=1), gains.mean() + margin
    if deviation == 0 or above <= 0:
        return None
    effect = above / deviation

    def power(n: int) -> float:
        """Return the power of the test with n patients."""
        return float(stats.nct.sf(stats.t.ppf(1 - LEVEL, n - 1), n - 1, effect * np.sqrt(n)))

    # The normal distribution needs fewer patients than Student's t, so its number is where the search starts.
    enough = ((stats.norm.ppf(1 - LEVEL) + stats.norm.ppf(POWER)) / effect) ** 2
    number = max(2, int(min(enough, MOST_PATIENTS + 1)))
    while number <= MOST_PATIENTS and power(number) < POWER:
        number += 1
    return number if number <= MOST_PATIENTS else None


def _verdict(interval: Interval | None, margin: float) -> Verdict:
    if interval is None:
        return "undecided"
    if interval.low > 0:
        return "better"
    if interval.low > -margin:
        return "equivalent" if interval.high < margin else "not worse"
    return "worse" if interval.high < 0 else "undecided"


def _mean(gains: NDArray[np.float64]) -> float:
    return float(gains.mean()) if gains.size else float("nan")


def _p_above(gains: NDArray[np.float64], limit: float) -> float:
    """Return the one-sided p-value of the mean of at least two gains being above a limit."""
    from scipy import stats

    error = gains.std(ddof=1) / np.sqrt(gains.size)
    distance = float(gains.mean() - limit)
    if error == 0:
        # Equal gains leave no doubt, except that no gain at all shows nothing.
        return 0.0 if distance > 0 else (1.0 if distance < 0 else 0.5)
    return float(stats.t.sf(distance / error, gains.size - 1))


def gain_interval(gains: NDArray[np.float64], coverage: float) -> Interval | None:
    """Return the interval of a mean by Student's t; None with fewer than two gains."""
    from scipy import stats

    if gains.size < 2:
        return None
    half = stats.t.ppf((1 + coverage) / 2, gains.size - 1) * gains.std(ddof=1) / np.sqrt(gains.size)
    return Interval(float(gains.mean() - half), float(gains.mean() + half))
