"""Draw docs/images/review.png: the page of nnfemur review, with fine phantoms, as Chromium shows it.

Usage: uv run python benchmarks/review_picture.py docs/images/review.png

It needs `chromium`, and takes about a minute. The gap in the second mask is made here; the CTs are phantoms.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

import SimpleITK as sitk
from PIL import Image

import nnunet_femur as nf
from nnunet_femur.testing import make_phantom

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.reviewing.browser import Browser

SIZE = (1280, 800)
"""Width and height of the picture in pixels."""

VOXELS = {"size_zyx": (420, 130, 130), "spacing_mm_zyx": (1.1, 1.0, 1.0)}


def main(picture: Path) -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        masks, cts = base / "out", base / "cts"
        masks.mkdir()
        cts.mkdir()
        for seed, case in ((0, "L101"), (1, "L102")):
            phantom = make_phantom(seed, side="left", **VOXELS)
            mask = phantom.mask
            if case == "L102":
                mask[:, :, 300:330] = 0
            sitk.WriteImage(phantom.image, str(cts / f"{case}.nrrd"))
            sitk.WriteImage(mask, str(masks / f"{case}.nrrd"))
        page = nf.review(masks, ct=cts).page
        shot = base / "shot.png"
        with Browser(base / "profile", width=SIZE[0], height=SIZE[1]) as browser:
            browser.open(page.as_uri())
            browser.screenshot(shot)
        small = io.BytesIO()
        # 128 colours: the picture is mostly grey.
        Image.open(shot).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
        picture.write_bytes(small.getvalue())
    sys.stdout.write(f"{picture}: {picture.stat().st_size / 1000:.0f} kB\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
