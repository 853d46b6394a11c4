"""Networks that were trained on synthetic femurs, on real CTs: a table and a picture of each CT.

Run: uv run python benchmarks/real_cts.py --study benchmark-study/work --cts hips_ct.nrrd=hips_labels.nrrd thigh_ct.nrrd

A CT may be followed by "=" and a mask that predictions are compared with; where the mask is a network's and not a
person's, the result is agreement and not accuracy. Masks are kept in --out, so a second call only predicts what is new.
TotalSegmentator is not run: the study's weights of it are dummies.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from marked_tables import table, write_results

if TYPE_CHECKING:
    import SimpleITK as sitk
    from numpy.typing import NDArray

WINDOW_HU = (-200, 800)
COLUMNS = 6


def main() -> None:
    """Predict, and write table and pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, required=True, help="folder of the study")
    parser.add_argument("--cts", nargs="+", required=True, metavar="CT[=MASK]")
    parser.add_argument("--out", type=Path, default=Path("benchmark-study/real"))
    arguments = parser.parse_args()
    finals = arguments.study.glob("nnUNet_results/Dataset*/*__*__*/fold_5/checkpoint_final.pth")
    models = sorted(path.parents[1] for path in finals)
    if not models:
        parser.error(f"{arguments.study}: contains no trained network. Give the folder of a study that has ended.")
    given = [each.partition("=")[::2] for each in arguments.cts]
    cts = {Path(ct).name.partition(".")[0]: (Path(ct), Path(mask) if mask else None) for ct, mask in given}
    for model in models:
        predict(model, {name: ct for name, (ct, _) in cts.items()}, arguments.out)
    rows = []
    for name, (ct, reference) in cts.items():
        found = measured(name, reference, [model.name for model in models], arguments.out)
        rows += found
        draw(name, ct, reference, found, arguments.out)
    write_results(arguments.out / "real.json", "real_cts", rows)
    text = "\n\n".join(
        f"**{name}**\n\n{_table([row for row in rows if row['ct'] == name], cts[name][1] is not None)}" for name in cts
    )
    (arguments.out / "real.md").write_text(text + "\n", encoding="utf-8")
    print(text)


def predict(model: Path, cts: dict[str, Path], out: Path) -> None:
    """Predict the CTs whose masks are missing."""
    import nnunet_femur as nf

    missing = {name: ct for name, ct in cts.items() if not _mask_file(out, name, model.name).is_file()}
    if not missing:
        return
    segmenter = nf.Segmenter(model, folds=5, device="cpu", exhaustive=True)
    for name, ct in missing.items():
        file = _mask_file(out, name, model.name)
        file.parent.mkdir(parents=True, exist_ok=True)
        segmenter(ct).save(file)
        print(f"{file}: written.", flush=True)


def measured(name: str, reference: Path | None, models: list[str], out: Path) -> list[dict[str, Any]]:
    """Return volume, pieces and agreement of each mask of a CT."""
    import SimpleITK as sitk

    import nnunet_femur as nf

    rows = []
    for model in models:
        file = _mask_file(out, name, model)
        mask = sitk.ReadImage(str(file))
        sizes = _pieces(mask)
        voxel_ml = math.prod(mask.GetSpacing()) / 1000
        row: dict[str, Any] = {
            "ct": name,
            "method": _method(model),
            "model": model,
            "volume_ml": sum(sizes) * voxel_ml,
            "pieces": sum(size * voxel_ml >= 1 for size in sizes),
            "largest": sizes[0] / sum(sizes) if sizes else None,
        }
        if reference is not None:
            scores = nf.score(file, reference)
            row |= {"dice": scores["dice"], "hd95_mm": scores["hd95"]}
        rows.append(row)
    return rows


def _pieces(mask: sitk.Image) -> list[int]:
    """Return the voxels of each connected piece, the largest first."""
    import SimpleITK as sitk

    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(sitk.ConnectedComponent(mask > 0))
    return sorted((shape.GetNumberOfPixels(label) for label in shape.GetLabels()), reverse=True)


def _table(rows: list[dict[str, Any]], compared: bool) -> str:  # noqa: FBT001
    header = ["method", "volume (ml)", "pieces of 1 ml or more", "part of the largest"]
    further = ["Dice to the labels", "HD95 (mm)"] if compared else []
    cells = []
    for row in rows:
        largest = None if row["largest"] is None else f"{row['largest']:.2f}"
        shown = [row["method"], f"{row['volume_ml']:.0f}", row["pieces"], largest]
        if compared:
            shown += [f"{row['dice']:.3f}", None if row["hd95_mm"] is None else f"{row['hd95_mm']:.0f}"]
        cells.append(shown)
    return table((*header, *further), cells)


def draw(name: str, ct: Path, reference: Path | None, rows: list[dict[str, Any]], out: Path) -> None:
    """Draw the coronal slice with the most femur, a panel for each method."""
    import SimpleITK as sitk
    from matplotlib.figure import Figure

    from nnunet_femur.imaging import read_ct
    from nnunet_femur.imaging.geometry import oriented

    image = oriented(read_ct(ct).image)
    spacing = image.GetSpacing()
    hu = sitk.GetArrayFromImage(image)
    masks = {row["method"]: _voxels(_mask_file(out, name, row["model"]), image) for row in rows}
    labels = None if reference is None else _voxels(reference, image)
    # The slice is chosen by the methods together, or by the labels.
    votes = labels if labels is not None else np.sum(list(masks.values()), axis=0)
    index = int(np.argmax(votes.sum(axis=(0, 2))))
    lines = math.ceil(len(rows) / COLUMNS)
    # Arrays are in RAS order: the patient's right is on the left of a picture after a reversal of x.
    ratio = hu.shape[0] * spacing[2] / (hu.shape[2] * spacing[0])
    width = 8.4
    figure = Figure(figsize=(width, lines * (0.35 + width / COLUMNS * ratio)), layout="compressed")
    panels = figure.subplots(lines, COLUMNS, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, (method, mask) in zip(panels, masks.items(), strict=False):
        axes.imshow(
            hu[:, index, ::-1], cmap="gray", vmin=WINDOW_HU[0], vmax=WINDOW_HU[1], origin="lower",
            aspect=spacing[2] / spacing[0], interpolation="bilinear",
        )  # fmt: skip
        if labels is not None:
            axes.contour(labels[:, index, ::-1], levels=[0.5], colors="#4da3ff", linewidths=0.8)
        axes.contour(mask[:, index, ::-1], levels=[0.5], colors="#ff9f1c", linewidths=0.8)
        axes.set_title(method.removeprefix("Femur").replace("PlusPlus", "++"), loc="left", fontsize=6)
    figure.savefig(out / f"{name}.png", dpi=130)


def _voxels(file: Path, like: sitk.Image) -> NDArray[np.uint8]:
    import SimpleITK as sitk

    mask = sitk.Resample(sitk.ReadImage(str(file)) > 0, like, sitk.Transform(), sitk.sitkNearestNeighbor)
    return sitk.GetArrayFromImage(mask)


def _mask_file(out: Path, name: str, model: str) -> Path:
    return out / name / f"{model}.nrrd"


def _method(model: str) -> str:
    return model.partition("__")[0].removesuffix("Trainer")


if __name__ == "__main__":
    main()
