"""Pictures of the site's start page: a real CT of a thigh, and a phantom with voxels of 1 mm, drawn alike.

Run: uv run python benchmarks/start_page_figure.py --ct thigh_ct.nrrd --output docs/images

Left in each picture: the CT on a coronal surface that follows the bow of the shaft, with voxels of their true size.
Right: the surface of the bone, of the CT by a threshold, of the phantom by its exact mask. The CT is thigh_ct.nrrd of
scalismo's test resources (Apache-2.0); its header turns the leg upside down, which --turn undoes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
from PIL import Image, ImageDraw
from scipy import ndimage

from nnunet_femur.testing import make_phantom

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Volume = NDArray[np.floating]

MM_PER_PIXEL = 0.55
HEIGHT = 860
PAPER = (16, 24, 28)
WINDOW_HU = (-180, 1100)
BONE_HU = 280
EDGE_HU = 190
LARGE_ML = 8
OUTLINE = (240, 150, 60)


def main() -> None:
    """Draw both pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ct", type=Path, required=True)
    parser.add_argument(
        "--turn", action=argparse.BooleanOptionalAction, default=True, help="turn the CT by 180 degrees"
    )
    parser.add_argument("--output", type=Path, default=Path("docs/images"))
    arguments = parser.parse_args()

    image = sitk.ReadImage(str(arguments.ct))
    hu = sitk.GetArrayFromImage(image).astype(np.float32)
    if arguments.turn:
        hu = hu[::-1, :, ::-1]  # About the axis from front to back.
    spacing = np.array(image.GetSpacing()[::-1])
    bone = _large_pieces(hu > BONE_HU, spacing)
    near = np.where(ndimage.binary_dilation(bone, iterations=2), hu, -200)
    surface = _rendered(ndimage.gaussian_filter(near, 0.55) - EDGE_HU + 0.5, spacing)
    _save(arguments.output / "start-real.jpg", hu, spacing, bone, surface)

    phantom = make_phantom(2, side="right", size_zyx=(500, 150, 150), spacing_mm_zyx=(1.0, 1.0, 1.0))
    hu = sitk.GetArrayFromImage(phantom.image).astype(np.float32)
    mask = sitk.GetArrayFromImage(phantom.mask) > 0
    surface = _rendered(ndimage.gaussian_filter(mask.astype(np.float32), 1.8), np.ones(3))
    _save(arguments.output / "start-phantom.jpg", hu, np.ones(3), mask, surface, outlined=True)


def _save(
    path: Path, hu: Volume, spacing: Volume, bone: NDArray[np.bool_], surface: Image.Image, *, outlined: bool = False
) -> None:
    """Draw slice and surface of one volume beside each other."""
    rows = _follow(bone, spacing)
    slice_hu = np.clip(hu[np.arange(len(hu)), rows], *WINDOW_HU)
    grey = ((slice_hu - WINDOW_HU[0]) / (WINDOW_HU[1] - WINDOW_HU[0]) * 255).astype(np.uint8)
    size = [round(n * s / MM_PER_PIXEL) for n, s in zip(grey.shape[::-1], spacing[[2, 0]], strict=True)]
    picture = Image.fromarray(grey[::-1]).resize(size, Image.Resampling.BICUBIC).convert("RGB")
    if outlined:
        on_slice = Image.fromarray(bone[np.arange(len(hu)), rows][::-1].astype(np.uint8) * 255)
        fine = np.asarray(on_slice.resize(size, Image.Resampling.BICUBIC)) > 127
        edge = fine & ~ndimage.binary_erosion(fine, iterations=2)
        pixels = np.asarray(picture).copy()
        pixels[edge] = OUTLINE
        picture = Image.fromarray(pixels)
    sheet = Image.new("RGB", (size[0] + surface.width, HEIGHT), PAPER)
    sheet.paste(picture, (0, (HEIGHT - size[1]) // 2))
    sheet.paste(surface, (size[0], 0))
    _scale_bar(sheet)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, quality=86, optimize=True)


def _large_pieces(bone: NDArray[np.bool_], spacing: Volume) -> NDArray[np.bool_]:
    """Return the pieces of bone above a volume, without vessels and calcifications."""
    labels, _ = ndimage.label(bone)
    sizes = np.bincount(labels.ravel()) * float(np.prod(spacing)) / 1000
    large = sizes > LARGE_ML
    large[0] = False
    return large[labels]


def _follow(bone: NDArray[np.bool_], spacing: Volume) -> NDArray[np.intp]:
    """Return the row (y) of a coronal surface for each slice: a curve through the middle of the bone."""
    held = np.flatnonzero(bone.any(axis=(1, 2)))
    middle = np.array([np.argwhere(bone[z])[:, 0].mean() for z in held])
    weights = 1 / np.array([bone[z].sum() for z in held]) ** 0.5
    curve = np.polynomial.Polynomial.fit(held * spacing[0], middle, 4, w=weights)
    rows = curve(np.clip(np.arange(len(bone)), held[0], held[-1]) * spacing[0])
    return np.clip(np.rint(rows), 0, bone.shape[1] - 1).astype(np.intp)


def _surface(field: Volume, spacing: Volume) -> Any:
    """Return the surface on which a field is 0.5, as an actor of VTK."""
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    volume = vtk.vtkImageData()
    volume.SetDimensions(*field.shape[::-1])
    volume.SetSpacing(*spacing[::-1])
    volume.GetPointData().SetScalars(numpy_to_vtk(field.ravel(), deep=True))
    contour = vtk.vtkFlyingEdges3D()
    contour.SetInputData(volume)
    contour.SetValue(0, 0.5)
    sinc = vtk.vtkWindowedSincPolyDataFilter()
    sinc.SetInputConnection(contour.GetOutputPort())
    sinc.SetNumberOfIterations(30)
    sinc.SetPassBand(0.05)
    sinc.NormalizeCoordinatesOn()
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputConnection(sinc.GetOutputPort())
    normals.SplittingOff()
    mapper = vtk.vtkPolyDataMapper()
    mapper.SetInputConnection(normals.GetOutputPort())
    mapper.ScalarVisibilityOff()
    actor = vtk.vtkActor()
    actor.SetMapper(mapper)
    look = actor.GetProperty()
    look.SetColor(0.93, 0.87, 0.74)
    look.SetSpecular(0.15)
    look.SetSpecularPower(20)
    look.SetAmbient(0.12)
    return actor


def _rendered(field: Volume, spacing: Volume) -> Image.Image:
    """Return the surface on which a field is 0.5, from the front and at the scale of the slice."""
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    size = (240, HEIGHT)
    padded = np.pad(field, 2, constant_values=float(field.min())).astype(np.float32)
    renderer = vtk.vtkRenderer()
    renderer.SetBackground(*(each / 255 for each in PAPER))
    renderer.AddActor(_surface(padded, spacing))
    center = np.array(padded.shape[::-1]) * spacing[::-1] / 2
    camera = renderer.GetActiveCamera()
    camera.ParallelProjectionOn()
    camera.SetFocalPoint(*center)
    camera.SetPosition(center[0] + 250, center[1] - 900, center[2] + 60)
    camera.SetViewUp(0, 0, 1)
    camera.SetParallelScale(size[1] * MM_PER_PIXEL / 2)
    renderer.ResetCameraClippingRange()
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(8)
    window.SetSize(*size)
    window.AddRenderer(renderer)
    window.Render()
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    grab.Update()
    pixels = vtk_to_numpy(grab.GetOutput().GetPointData().GetScalars()).reshape(size[1], size[0], 3)
    return Image.fromarray(pixels[::-1].copy())


def _scale_bar(sheet: Image.Image) -> None:
    """Draw a bar of 5 cm."""
    draw = ImageDraw.Draw(sheet)
    length = 50 / MM_PER_PIXEL
    right, low = 14 + length, HEIGHT - 14
    draw.line((right - length, low, right, low), fill=(230, 230, 230), width=3)
    draw.text((right - length / 2, low - 8), "5 cm", fill=(230, 230, 230), anchor="ms", font_size=18)


if __name__ == "__main__":
    main()
