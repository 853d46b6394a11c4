"""``nnfemur measure``: head, neck, axes, angles, lengths and volume of femurs in masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from nnunet_femur.cli.options import Part, Segments  # noqa: TC001 (typer reads them)


class MeasureCommand(TyperCommand):
    """A command whose option ``--ct`` takes several paths, as a shell writes them for ``--ct scans/*.nrrd``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments with ``--ct`` before each CT."""
        return super().parse_args(ctx, several_cts(args))


def several_cts(arguments: list[str]) -> list[str]:
    """Return arguments with ``--ct`` before each of the paths that follow it, up to the next option.

    If no mask is in front of ``--ct``, only the first path is a CT, and the others are masks.

    Example:
        >>> several_cts(["m.nrrd", "--ct", "a.nrrd", "b.nrrd", "-o", "out"])
        ['m.nrrd', '--ct', 'a.nrrd', '--ct', 'b.nrrd', '-o', 'out']
        >>> several_cts(["--ct", "a.nrrd", "m.nrrd"])
        ['--ct', 'a.nrrd', 'm.nrrd']
    """
    if "--ct" not in arguments or arguments[0].startswith("-"):
        return arguments
    found: list[str] = []
    follows_ct = False
    for each in arguments:
        if each.startswith("-"):
            follows_ct = each == "--ct"
        elif follows_ct and found[-1] != "--ct":
            found.append("--ct")
        found.append(each)
    return found


def measure(
    masks: Annotated[list[Path], typer.Argument(metavar="MASK", help="Masks, segmentations, or folders of them.")],
    ct: Annotated[
        list[Path] | None,
        typer.Option(
            "--ct",
            metavar="CT...",
            help="CTs of the masks, or folders of CTs, paired by name. Adds HU, density, cortex.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Table to write (.csv or .json), or a folder for both tables, landmarks (.mrk.json) and pictures.",
        ),
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option(
            metavar="SLOPE,INTERCEPT",
            help="Line from HU to mg/cm3 of K2HPO4; or a phantom's rods as HU:DENSITY,HU:DENSITY,...; or a CSV or JSON "
            "file of rods. [default: HU only]",
        ),
    ] = None,
    segment: Segments = None,
    labels: Annotated[
        str | None,
        typer.Option(help="Values of a mask that are femur. [default: 1 left and 2 right, or the only one]"),
    ] = None,
    stl: Annotated[  # noqa: FBT002
        bool, typer.Option("--stl", help="Write a closed surface for models of each femur into the folder, as STL.")
    ] = False,
    ply: Annotated[bool, typer.Option("--ply", help="The same as PLY.")] = False,  # noqa: FBT002
    edge_mm: Annotated[
        float, typer.Option("--edge-mm", help="Edge length of these surfaces in mm, from half a voxel to 10.")
    ] = 3.0,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Masks to measure at the same time.")] = 1,
    shard: Part = None,
) -> None:
    """Measure femurs: head, neck, axes, angles, lengths and volume; with their CTs, density and cortex as well.

    Example: nnfemur measure masks --ct scans -o measured

    One mask: nnfemur measure femur.seg.nrrd -o femur.json

    Surfaces for models: nnfemur measure masks -o models --stl --edge-mm 2
    """
    from rich.console import Console

    from nnunet_femur.imaging.labels import parse_labels
    from nnunet_femur.measurement.batch_measuring import measure as run
    from nnunet_femur.measurement.output.measurement_report import notes, table
    from nnunet_femur.measurement.surfaces.surface_files import quality_table, surface_notes
    from nnunet_femur.progress import TerminalProgress

    measurements = run(
        masks,
        ct=ct or None,
        calibration=calibration,
        segments=segment or (),
        labels=parse_labels(labels),
        output=output,
        stl=stl,
        ply=ply,
        edge_mm=edge_mm,
        jobs=jobs,
        shard=shard,
        progress=TerminalProgress(),
    )
    console = Console(highlight=False)
    read = [femur for femur in measurements if femur.values or femur.case not in measurements.errors]
    if read:
        console.print(table(read))
    errors = tuple(measurements.errors.values())
    for note in notes(read):
        if errors and note.endswith(errors):  # It is printed as an error below.
            continue
        console.print(note, style="dim", markup=False, soft_wrap=True)
    if any(surface.values for surface in measurements.surfaces):
        console.print(quality_table(measurements.surfaces))
    for note in surface_notes(measurements.surfaces):
        console.print(note, style="dim", markup=False, soft_wrap=True)
    for error in errors:
        typer.echo(f"error: {error}", err=True)
    if output is not None:
        console.print(str(output), soft_wrap=True)
    if not measurements.complete or any(surface.error for surface in measurements.surfaces):
        raise typer.Exit(1)
