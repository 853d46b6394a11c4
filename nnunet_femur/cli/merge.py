"""``nnfemur merge``: join the records that the parts of a batch have written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def merge(
    folder: Annotated[Path, typer.Argument(help="Output folder of predict, measure or baseline with --shard.")],
) -> None:
    """Join the tables and records that several machines have written with --shard.

    Example: nnfemur merge out
    """
    from nnunet_femur.baselines.baseline_record import join_records
    from nnunet_femur.errors import InputError
    from nnunet_femur.measurement.measurements import TABLE_ENDINGS, TABLE_NAME
    from nnunet_femur.measurement.output.shard_tables import join_csv, join_json
    from nnunet_femur.measurement.surfaces.surface_files import SURFACE_TABLE
    from nnunet_femur.prediction.results import RECORD, join_results
    from nnunet_femur.shards import shard_files

    joins = {
        RECORD: join_results,
        "run.json": join_records,
        **{
            f"{TABLE_NAME}{ending}": lambda of, ending=ending: (join_json if ending == ".json" else join_csv)(
                of, f"{TABLE_NAME}{ending}"
            )
            for ending in TABLE_ENDINGS
        },
        SURFACE_TABLE: lambda of: join_csv(of, SURFACE_TABLE),
    }
    written = [path for name, join in joins.items() if shard_files(folder, name) and (path := join(folder))]
    if not written:
        msg = f"{folder}: contains no records of shards. Pass the output folder of a command with --shard."
        raise InputError(msg, code="no-cases")
    for path in written:
        typer.echo(path)
