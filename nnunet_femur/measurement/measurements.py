"""Measurements of many femurs, and the files that they are saved as."""

from __future__ import annotations

import base64
import html
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, overload

from nnunet_femur.atomic_files import cannot_write, make_folder, write_text
from nnunet_femur.errors import InputError
from nnunet_femur.imaging.sides import UNKNOWN
from nnunet_femur.measurement.femur_measurements import FemurMeasurements
from nnunet_femur.measurement.output.measurement_tables import as_record, as_row, csv_text, json_text, keys_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from nnunet_femur.measurement.surfaces.surface_files import WrittenSurface

TABLE_ENDINGS = (".csv", ".json")
"""Endings of the tables that can be written."""

TABLE_NAME = "measurements"
"""Name of the tables in a folder, without their endings."""

_MOST_PICTURES = 2
"""Largest number of femurs whose pictures are shown in a notebook."""

_OTHER_ENDINGS = {".xlsx", ".xls", ".ods", ".tsv", ".txt", ".md", ".html", ".pdf", ".png", ".nrrd", ".stl", ".ply"}


@dataclass(frozen=True, eq=False, repr=False)
class Measurements(Sequence[FemurMeasurements]):
    """Measurements of :func:`~nnunet_femur.measure`, a sequence with one entry per femur.

    A mask that cannot be read has one entry, in which every quantity is missing.

    Attributes:
        femurs: The entries in the order of the masks; of two femurs of a mask, the left one is first.
        errors: Reason by case for which a mask or its CT could not be read; empty if all could.
        folder: The folder that the files were written to; None if none was given.
        surfaces: Quality of the surfaces for models that were written, by femur; empty if none was asked for.

    Example:
        >>> import nnunet_femur as nf
        >>> measurements = nf.measure("reference.nrrd")
        >>> measurements
        Measurements(1 femur)
        >>> measurements[0].case, measurements.complete
        ('reference', True)
        >>> measurements.to_frame()["case"].tolist()
        ['reference']
        >>> measurements.save("femurs.csv")
    """

    femurs: tuple[FemurMeasurements, ...]
    errors: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    surfaces: tuple[WrittenSurface, ...] = ()

    @property
    def complete(self) -> bool:
        """True if every mask and every CT could be read."""
        return not self.errors

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of all quantities, in the order of the tables."""
        return keys_of(self.femurs)

    def to_frame(self) -> pd.DataFrame:
        """Return a table with a row per femur and the columns of the CSV; missing values are NaN."""
        import numpy as np
        import pandas as pd

        frame = pd.DataFrame(self._rows())
        texts = {"case", "side", "side_source", "missing", "findings", "error"}
        return frame.astype({column: np.float64 for column in frame.columns if column not in texts})

    def save(self, path: str | Path) -> None:
        """Write all measurements to a file, atomically.

        Args:
            path: A ``.csv`` file, with a row per femur, or a ``.json`` file, a list with an object per femur.

        Raises:
            InputError: The ending is not one of these (code "invalid-name").
            SetupError: The file cannot be written (code "cannot-write").
        """
        path = Path(path)
        require_table_name(path)
        make_folder(path.parent)
        if path.suffix.lower() == ".json":
            text = json_text([as_record(femur, self.keys, self._error(femur)) for femur in self.femurs])
        else:
            text = csv_text(self._rows(), self.keys)
        try:
            write_text(path, text)
        except OSError as error:
            raise cannot_write(path, error) from error

    def _rows(self) -> list[dict[str, object]]:
        return [as_row(femur, self.keys, self._error(femur)) for femur in self.femurs]

    def _error(self, femur: FemurMeasurements) -> str:
        return self.errors.get(femur.case, "")

    def __len__(self) -> int:
        return len(self.femurs)

    @overload
    def __getitem__(self, index: int) -> FemurMeasurements: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[FemurMeasurements, ...]: ...

    def __getitem__(self, index: int | slice) -> FemurMeasurements | tuple[FemurMeasurements, ...]:
        """Return the entry of a number, from 0 in the order of the masks."""
        return self.femurs[index]

    def __repr__(self) -> str:
        """Return the numbers of femurs and errors."""
        counts = [f"{len(self)} femur{'' if len(self) == 1 else 's'}"]
        counts += [f"{len(self.errors)} not read"] if self.errors else []
        return f"{type(self).__name__}({', '.join(counts)})"

    def _repr_html_(self) -> str:
        """Show the main quantities of all femurs, and pictures if there are at most two."""
        from nnunet_femur.measurement.output.landmark_picture import draw_femur
        from nnunet_femur.measurement.output.measurement_report import main_frame

        table: str = main_frame(self.femurs).to_html(na_rep="-", index=False)
        errors = "".join(f"<li>{html.escape(text)}</li>" for text in self.errors.values())
        drawn = [femur for femur in self.femurs if femur.anatomy is not None and len(femur.anatomy.surface.triangles)]
        pictures = [
            f'<img alt="{html.escape(femur.case)}" width="900" src="data:image/png;base64,'
            f'{base64.b64encode(draw_femur(femur)).decode("ascii")}">'
            for femur in (drawn if len(drawn) <= _MOST_PICTURES else ())
        ]
        return "".join([table, f"<ul>{errors}</ul>" if errors else "", *pictures])


def require_table_name(path: Path) -> None:
    """Refuse a file that is not a table.

    Raises:
        InputError: The ending is not one of :data:`TABLE_ENDINGS` (code "invalid-name").
    """
    if path.suffix.lower() not in TABLE_ENDINGS or path.name.lower().endswith(".mrk.json"):
        msg = (
            f"{path}: measurements are written as {' or '.join(TABLE_ENDINGS)}. Use one of these endings, or a folder."
        )
        raise InputError(msg, code="invalid-name")


def is_table(path: Path) -> bool:
    """Return True if a path is a table to write, and False if it is a folder.

    Raises:
        InputError: The path has the ending of another kind of file (code "invalid-name").

    Example:
        >>> is_table(Path("out.csv")), is_table(Path("out"))
        (True, False)
    """
    if path.is_dir():
        return False
    ending = path.suffix.lower()
    if ending in TABLE_ENDINGS or ending in _OTHER_ENDINGS:
        require_table_name(path)
        return True
    return False


def file_names(femurs: Sequence[FemurMeasurements]) -> list[str]:
    """Return the name of each femur's files without ending: ``CASE_SIDE``, numbered where two are the same.

    Args:
        femurs: The femurs of one mask.

    Example:
        >>> sides = [("left", "label"), ("unknown", "")]
        >>> file_names([FemurMeasurements("L1", *each, {}, {}) for each in sides])
        ['L1_left', 'L1']
    """
    seen: Counter[str] = Counter()
    names = []
    for femur in femurs:
        name = femur.case if femur.side == UNKNOWN else f"{femur.case}_{femur.side}"
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return names
