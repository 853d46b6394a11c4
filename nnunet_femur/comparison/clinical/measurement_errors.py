"""Femurs of a prediction beside those of its reference, and the table of their measurements and errors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nnunet_femur.comparison.clinical.case_ct import MEAN_HU, NO_CT
from nnunet_femur.comparison.clinical.endpoints import ENDPOINTS, PROTOCOL
from nnunet_femur.comparison.clinical.measured_masks import FAILED
from nnunet_femur.comparison.scoring import COLUMNS as SCORES
from nnunet_femur.comparison.scoring import text_dtype

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd

    from nnunet_femur.comparison.clinical.measured_masks import MeasuredFemur, MeasuredMask

WHOLE = "whole"
"""Side in the table of the only femur of a reference."""

NO_FEMUR = "femur-missing"
"""Reason for which no quantity of a femur was measured: the prediction has no femur at its place."""

COLUMNS = (
    "method", "set", "fold", "case", "patient", "side", "measurement", "unit", "reference", "prediction", "error",
    "reference_missing", "prediction_missing",
)  # fmt: skip
"""Columns of measurements.csv. Values of positions and directions are left out; their error is a distance or an angle.
The last two contain the code of the reason for which a measurement is missing; empty for one that was made."""


class FemurPair(NamedTuple):
    """A femur of a reference, and the predicted femur at its place.

    Attributes:
        side: "left" or "right" if the reference contains several femurs, else :data:`WHOLE`.
        reference: The femur of the reference.
        prediction: The predicted femur; None if the prediction has none at this place.
    """

    side: str
    reference: MeasuredFemur
    prediction: MeasuredFemur | None


def pair_femurs(reference: MeasuredMask, prediction: MeasuredMask) -> list[FemurPair]:
    """Return each femur of a reference with the predicted femur at its place.

    A predicted femur belongs to the reference femur with the nearest centre; of several, the nearest one counts.

    Args:
        reference: The femurs of the reference.
        prediction: The femurs of the prediction.

    Example:
        >>> from nnunet_femur.comparison.clinical.measured_masks import MeasuredFemur
        >>> left, right = MeasuredFemur("left", (90.0, 0, 0)), MeasuredFemur("right", (-90.0, 0, 0))
        >>> [(pair.side, pair.prediction) for pair in pair_femurs((left, right), (left,))][1]
        ('right', None)
    """
    sides = _sides(reference)
    nowhere = [femur for femur in prediction if femur.center_mm is None]
    if nowhere:
        return [FemurPair(side, femur, nowhere[0]) for side, femur in zip(sides, reference, strict=True)]
    chosen: dict[int, tuple[float, MeasuredFemur]] = {}
    for femur in prediction:
        distances = [_distance_mm(one, femur) for one in reference]
        place = int(np.argmin(distances))
        if place not in chosen or distances[place] < chosen[place][0]:
            chosen[place] = distances[place], femur
    return [
        FemurPair(side, femur, chosen[place][1] if place in chosen else None)
        for place, (side, femur) in enumerate(zip(sides, reference, strict=True))
    ]


def _distance_mm(first: MeasuredFemur, second: MeasuredFemur) -> float:
    if first.center_mm is None or second.center_mm is None:
        return 0.0
    return math.dist(first.center_mm, second.center_mm)


def _sides(femurs: Sequence[MeasuredFemur]) -> list[str]:
    """Return a name for each femur of a reference that no other femur of it has."""
    if len(femurs) == 1:
        return [WHOLE]
    sides = [femur.side for femur in femurs]
    if set(sides) == {"left", "right"} and len(sides) == 2:
        return sides
    # In LPS, x increases to the left.
    order = sorted(range(len(femurs)), key=lambda place: -(femurs[place].center_mm or (0.0,))[0])
    names = ["left", "right"] if len(femurs) == 2 else [f"femur {number}" for number in range(1, len(femurs) + 1)]
    return [names[order.index(place)] for place in range(len(femurs))]


Label = tuple[str, str, str, str, str]
"""Method, set, fold, case and patient of a prediction."""


def error_table(measured: Iterable[tuple[Label, MeasuredMask, MeasuredMask]]) -> pd.DataFrame:
    """Return the table of measurements: a row for every prediction, femur and endpoint, with :data:`COLUMNS`.

    An endpoint that cannot be computed has no error, and the reason in one of the last two columns. Endpoints of the CT
    are left out if no case has a CT.

    Args:
        measured: Label, femurs of the reference and femurs of the prediction, for each prediction.
    """
    import pandas as pd

    rows = [
        (*label, pair.side, *row)
        for label, reference, prediction in measured
        for pair in pair_femurs(reference, prediction)
        for row in _rows(pair)
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = ("reference", "prediction", "error")
    table = table.astype({name: float if name in numbers else "str" for name in COLUMNS})
    of_ct = table["measurement"] == MEAN_HU.key
    reasons = set(table.loc[of_ct, "reference_missing"])
    # A reference whose measuring failed has that reason also for the CT value.
    return table[~of_ct].reset_index(drop=True) if reasons - {FAILED} == {NO_CT} else table


def _rows(pair: FemurPair) -> Iterator[tuple[str, str, float, float, float, str, str]]:
    for name, endpoint in ENDPOINTS.items():
        key = endpoint.quantity
        known = pair.reference.reason(key)
        found = NO_FEMUR if pair.prediction is None else pair.prediction.reason(key)
        values = [math.nan] * 2
        error = math.nan
        if endpoint.signed:
            values = [
                math.nan if femur is None else femur.values.get(key, math.nan)  # type: ignore[misc]
                for femur in (pair.reference, pair.prediction)
            ]
        if pair.prediction is not None and not known and not found:
            error = endpoint.error(pair.reference.values[key], pair.prediction.values[key])
        yield name, endpoint.unit, values[0], values[1], error, known, found


def with_errors(scores: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of scores with the errors of a table of measurements as further rows.

    Args:
        scores: The table of scores.
        table: The table of measurements, with :data:`COLUMNS`.
    """
    import pandas as pd

    columns = {
        **{name: table[name] for name in ("method", "set", "fold", "case", "patient", "unit")},
        "protocol": PROTOCOL,
        "plane": "all",
        "region": table["side"],
        "metric": table["measurement"],
        "value": table["error"],
    }
    errors = pd.DataFrame(columns)[list(SCORES)].astype({name: text_dtype() for name in SCORES if name != "value"})
    return pd.concat([scores, errors], ignore_index=True)
