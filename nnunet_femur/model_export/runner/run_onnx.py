"""Segment the femur in a CT: python run_onnx.py CT MASK [FOLD ...]. CT: a file in HU, or a folder of DICOM slices."""

import json
import sys
from itertools import product
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from onnxruntime import InferenceSession

MODEL = json.loads(Path(__file__).with_name("model.json").read_text(encoding="utf-8"))


def resized(array, shape, spacings, spline):
    """Resize an array (z, y, x) by a spline; as in nnU-Net, thick slices one by one, and their number without one."""
    apart = next((mm for mm in spacings if max(mm) > MODEL["thick_slices_ratio"] * min(mm)), (1, 1, 1))
    fine = tuple(axis for axis in range(3) if not sorted(apart)[1] < apart[axis] == max(apart))
    size = [shape[axis] if axis in fine else n for axis, n in enumerate(array.shape)]
    step = [old / new for old, new in zip(array.shape[::-1], size[::-1])]
    image = sitk.GetImageFromArray(np.pad(array.astype(np.float32), 12, "edge"))  # The border continues.
    image = sitk.Resample(image, size[::-1], sitk.Transform(), spline, [11.5 + s / 2 for s in step], step)
    values = sitk.GetArrayFromImage(image).clip(array.min(fine, keepdims=True), array.max(fine, keepdims=True))
    nearest = [((np.arange(new) + 0.5) * old / new).astype(int) for old, new in zip(values.shape, shape)]
    return values[np.ix_(*nearest)]


source, output, *folds = sys.argv[1:]
stored = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(source) if Path(source).is_dir() else source)
image = sitk.PermuteAxes(sitk.DICOMOrient(stored, MODEL["orientation"]), MODEL["axes_xyz"])  # The axes of training.
filled = [np.flatnonzero(sitk.GetArrayViewFromImage(image).any(others)) for others in ((0, 1), (0, 2), (1, 2))]
image = image[tuple(slice(int(each[0]), int(each[-1]) + 1) for each in filled)]  # Without a border of zeros.
ct, own_mm = sitk.GetArrayFromImage(image).clip(*MODEL["clip_hu"]).astype(np.float32), image.GetSpacing()[::-1]
new_mm = [mm or own for mm, own in zip(MODEL["spacing_mm"], own_mm)]
shape = [round(own / mm * n) for own, mm, n in zip(own_mm, new_mm, ct.shape)]
data = resized((ct - MODEL["mean_hu"]) / MODEL["std_hu"], shape, (own_mm, new_mm), sitk.sitkBSpline)
data = np.pad(data, [(max(0, w - n) // 2, max(0, w - n + 1) // 2) for w, n in zip(MODEL["window"], shape)])
inside = tuple(slice((p - n) // 2, (p - n) // 2 + n) for p, n in zip(data.shape, shape))  # Without padding.
sides = [np.exp(-32 * ((np.arange(w) - w // 2) / w) ** 2) for w in MODEL["window"]]  # A Gaussian.
weight = np.maximum((10 * np.einsum("i,j,k", *sides)).astype(np.float16), np.float16(MODEL["smallest_weight"]))
steps = [(n - w, int(np.ceil((n - w) / s)) + 1) for n, w, s in zip(data.shape, MODEL["window"], MODEL["step"])]
votes = np.zeros(ct.shape, np.float32)
for fold in folds or MODEL["folds"]:
    session = InferenceSession(Path(__file__).with_name(f"fold_{fold}.onnx"))
    sums, weights = np.zeros((MODEL["channels"], *data.shape), np.float16), np.zeros(data.shape, np.float16)
    for corner in product(*(np.linspace(0, *each).round().astype(int) for each in steps)):  # Windows.
        box = tuple(slice(start, start + w) for start, w in zip(corner, MODEL["window"]))
        views = {tuple(axes): np.flip(data[box], axes)[None, None] for axes in MODEL["mirrored_axes"]}
        passes = [np.flip(session.run(None, {"windows": view})[0][0], axes) for axes, view in views.items()]
        sums[(slice(None), *box)] += np.mean(passes, 0) * weight
        weights[box] += weight
    largest = np.full((2, *ct.shape), -np.inf, np.float16)  # Logit of all else, and of femur.
    for channel, total in enumerate(sums):
        logits = resized((total / weights)[inside], ct.shape, (new_mm, own_mm), sitk.sitkLinear)
        place = largest[int(channel in MODEL["femur_channels"])]
        np.maximum(place, logits.astype(np.float16), out=place)
    votes += np.tanh(np.subtract(*largest[::-1], dtype=np.float32) / 2)  # Twice the probability of femur, minus one.
mask = sitk.GetImageFromArray((votes > 0).astype(np.uint8))
mask.CopyInformation(image)
sitk.WriteImage(sitk.Resample(mask, stored, sitk.Transform(), sitk.sitkNearestNeighbor), output)
