"""``nnfemur compare``: tables, figures, statistics and report of many methods."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from nnunet_femur.cli.options import EmptyMasks, Labels, Segments, SliceSurfaces  # noqa: TC001 (typer reads them)


def _named_folders(option: str, texts: list[str] | None) -> dict[str, Path]:
    """Return the folders of an option that may be repeated, by name."""
    found: dict[str, Path] = {}
    for text in texts or ():
        name, given, folder = text.partition("=")
        if not (name and given and folder):
            msg = f"{option} must be NAME=FOLDER, got {text!r}."
            raise typer.BadParameter(msg)
        if name in found:
            msg = f"{option} must have a different name each time it is given."
            raise typer.BadParameter(msg)
        found[name] = Path(folder)
    return found


def compare(
    results: Annotated[Path | None, typer.Argument(help="nnU-Net's results folder, or a part of it.")] = None,
    raw: Annotated[
        Path | None, typer.Option(help="nnU-Net's raw folder with the reference masks. [default: $nnUNet_raw]")
    ] = None,
    reference_masks: Annotated[
        Path | None,
        typer.Option(
            "--reference-masks", "--truth", help="Folder of reference masks that replace those of the raw dataset."
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FOLDER",
            help="Further predictions: the name of a method and the folder of its masks; may be repeated.",
        ),
    ] = None,
    rater: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FOLDER",
            help="Masks of a second reader, shown beside the methods and never ranked; may be repeated.",
        ),
    ] = None,
    in_slices: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Method that predicts slice by slice; may be repeated. [default: as in its run.json]"
        ),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Method in RESULTS to leave out: the name of its folder; may be repeated."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the report. [default: RESULTS/comparison]")
    ] = None,
    intersect: Annotated[  # noqa: FBT002
        bool, typer.Option("--intersect", help="Compare only the cases that all methods have predicted.")
    ] = False,
    published: Annotated[
        str | None,
        typer.Option(
            "--published",
            "--reference",
            help="Published figures to print beside these results: 'paper' for those of the study.",
        ),
    ] = None,
    empty_masks: EmptyMasks = "strict",
    test: Annotated[str, typer.Option(help="Paired test: 'wilcoxon' or 'permutation'.")] = "wilcoxon",
    against: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Test each method for being not worse than this one, up to --margin; a part of its name.",
        ),
    ] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]NUMBER",
            help="Largest loss that does not count, of 3D Dice or of the named score (hd95=1); may be repeated.",
        ),
    ] = None,
    covariates: Annotated[
        Path | None,
        typer.Option(
            help="CSV file with a column case and columns such as side, sex or implant: scores of each subgroup."
        ),
    ] = None,
    segment: Segments = None,
    labels: Labels = None,
    slice_surfaces: SliceSurfaces = False,  # noqa: FBT002
    measurements: Annotated[
        bool | None,
        typer.Option(
            "--measurements/--no-measurements",
            help="Measure every femur, and compare head centre, angles, lengths, volume and HU with the reference. "
            "[default: if it takes less time than scoring]",
        ),
    ] = None,
    calibration: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--calibration/--no-calibration",
            help="Compare probabilities with the reference, where nnU-Net's CASE.npz is beside the mask.",
        ),
    ] = True,
    supplement: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--supplement",
            help="Write what a publication needs: the checklist CLAIM 2024, a methods paragraph and a model card per "
            "method, as Markdown and LaTeX.",
        ),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, help="Processes that measure. [default: one per core, at most 4]"),
    ] = None,
) -> None:
    """Score the predictions of all methods, and write scores.csv, tables, figures and a report.

    Example: nnfemur-compare results/
    """
    from nnunet_femur.comparison import compare as run
    from nnunet_femur.comparison.statistics.margins import parse_margins
    from nnunet_femur.imaging.labels import parse_labels
    from nnunet_femur.progress import TerminalProgress

    if test not in ("wilcoxon", "permutation"):
        msg = f"--test must be wilcoxon or permutation, got {test!r}."
        raise typer.BadParameter(msg)
    outcome = run(
        results,
        raw=raw,
        reference=reference_masks,
        methods=_named_folders("--method", method),
        raters=_named_folders("--rater", rater),
        in_slices=tuple(in_slices or ()),
        without=tuple(without or ()),
        output=output,
        intersect=intersect,
        published=published,
        policy=empty_masks,
        test="permutation" if test == "permutation" else "wilcoxon",
        against=against,
        margin=parse_margins(margin) if margin else None,
        covariates=covariates,
        slice_surfaces=slice_surfaces,
        segments=segment or (),
        labels=parse_labels(labels),
        measurements=measurements,
        calibration=calibration,
        supplement=supplement,
        jobs=jobs or min(4, os.cpu_count() or 1),
        progress=TerminalProgress(),
    )
    outcome.print()
    typer.echo(outcome.report)
    if outcome.supplement is not None:
        typer.echo(outcome.supplement)
    if outcome.unscored or not (outcome.complete or intersect):
        raise typer.Exit(1)
