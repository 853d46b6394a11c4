"""Write everything a comparison leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.report import Report, render
from nnunet_femur.errors import InputError
from nnunet_femur.files import write_text, written_beside

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


def write_all(folder: Path, report: Report, scores: pd.DataFrame) -> Path:
    """Write scores.csv, report.md, report.html and figures/, each file whole or not at all.

    Returns:
        The HTML report.

    Raises:
        InputError: The folder cannot be written.
    """
    texts = {f"report.{ending}": render(report, ending) for ending in ("md", "html")}
    texts["scores.csv"] = scores.to_csv(index=False, lineterminator="\n")
    figures = folder / "figures"
    try:
        figures.mkdir(parents=True, exist_ok=True)
        for drawing in report.drawings:
            for ending, content in (("png", drawing.png), ("svg", drawing.svg)):
                with written_beside(figures / f"{drawing.name}.{ending}", ending=f".{ending}") as partial:
                    partial.write_bytes(content)
        for name, text in texts.items():
            write_text(folder / name, text)
    except OSError as error:
        msg = f"{folder}: cannot be written ({error.strerror}). Choose another folder with --output."
        raise InputError(msg) from error
    return folder / "report.html"
