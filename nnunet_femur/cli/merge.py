"""``nnfemur merge``: join the records that the parts of a batch have written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable


def merge(
    folder: Annotated[Path, typer.Argument(help="Output folder of predict, measure or baseline with --shard.")],
) -> None:
    """Join the tables and records that several machines have written with --shard.

    Example: nnfemur merge out
    """
    from nnunet_femur.baselines.baseline_record import RUN_JSON, join_records
    from nnunet_femur.errors import InputError
    from nnunet_femur.measurement.measurements import TABLE_NAME
    from nnunet_femur.measurement.output.shard_tables import join_csv, join_json
    from nnunet_femur.measurement.surfaces.surface_files import SURFACE_TABLE
    from nnunet_femur.prediction.results import RECORD, join_results
    from nnunet_femur.shards import shard_files

    joins: dict[str, Callable[[Path, str], Path | None]] = {
        RECORD: lambda of, _: join_results(of),
        RUN_JSON: lambda of, _: join_records(of),
        f"{TABLE_NAME}.csv": join_csv,
        f"{TABLE_NAME}.json": join_json,
        SURFACE_TABLE: join_csv,
    }
    written = [path for name, join in joins.items() if shard_files(folder, name) and (path := join(folder, name))]
    if not written:
        msg = f"{folder}: contains no records of shards. Pass the output folder of a command with --shard."
        raise InputError(msg, code="no-cases")
    for path in written:
        typer.echo(path)
