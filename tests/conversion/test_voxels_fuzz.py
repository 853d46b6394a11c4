"""Headers that make no sense, by the hundred: reading them ends with voxels or with findings, soon, and kills nothing.

The files are read in one process of their own, so that a crash or a hang is a failed test with the file's bytes and not
the end of the test run.
"""

from __future__ import annotations

import gzip
import multiprocessing
import struct
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnunet_femur.conversion import ConversionOptions
from nnunet_femur.conversion.cases import Case
from nnunet_femur.conversion.checks.header_checks import check_headers
from nnunet_femur.conversion.voxels import read_case
from nnunet_femur.errors import FemurError
from nnunet_femur.evaluation import read_mask
from nnunet_femur.imaging.sources import Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from nnunet_femur.findings import Finding

pytestmark = pytest.mark.integration

SECONDS = 20
"""For one tiny file: more is a hang, even on a busy machine."""

MEMORY_BYTES = 6 << 30
"""Address space of the process that reads: whoever believes a header's sizes does not get so much."""

NUMBERS = (
    "0",
    "-1",
    "1e308",
    "1e-308",
    "nan",
    "inf",
    "-0",
    "65536",
    "4294967296",
    "9223372036854775807",
    "x",
    "",
    "7 6",
)
FIELDS = (
    *("type", "dimension", "space", "sizes", "space directions", "kinds", "endian", "encoding", "space origin"),
    "space dimension",
)
NRRD_LINES = st.one_of(
    st.tuples(
        st.sampled_from(["sizes", "dimension", "line skip", "byte skip", "spacings", "old max", "thicknesses"]),
        st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=5).map(" ".join),
    ),
    st.tuples(
        st.sampled_from(["space directions", "space origin", "measurement frame"]),
        st.lists(
            st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=4).map(lambda row: f"({','.join(row)})"),
            min_size=1,
            max_size=4,
        ).map(" ".join),
    ),
    st.tuples(
        st.sampled_from(["type", "encoding", "endian", "space", "kinds", "data file", "number", "content", "units"]),
        st.sampled_from(
            (
                *("short", "double", "block", "unsigned char", "raw", "gzip", "bzip2", "hex", "ascii", "big", "none"),
                *("none none none", "left-posterior-superior", "scanner-xyz-time", "RGB-color domain domain"),
                *("LIST", "%03d.raw 1 9999999 1", ".", "/dev/zero", "/dev/stdin", "../x.raw", "\x00", "ä" * 300),
            )
        ),
    ),
)


def found_in(folder: Path, case: Case) -> list[Finding]:
    """Findings of a case's headers and voxels."""
    found = check_headers(folder, case, ConversionOptions())
    voxels = read_case(folder, case, ConversionOptions())
    return [*found, *(voxels if isinstance(voxels, list) else voxels.findings)]


def _findings(folder: Path, case: Case) -> dict[str, str]:
    """Findings of a case by their codes, after its files were also read as predict and score read them."""
    findings = found_in(folder, case)
    # The same files at predict and at score: a volume, or one error that is meant for the user.
    for read in (Source(case.id, folder / case.image).read, partial(read_mask, folder / case.mask)):
        with suppress(FemurError):
            read()
    return {finding.code: str(finding) for finding in findings}


def _serve(pipe, folder: Path, answer: Callable[[Path, Case], object]) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    pipe.send("ready")
    while True:
        pipe.send(answer(folder, pipe.recv()))


class Reader:
    """A process that reads cases, and is started again after it was lost."""

    def __init__(self, folder: Path, answer: Callable[[Path, Case], object] = _findings) -> None:
        self.folder, self.answer = folder, answer
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, self.folder, self.answer), daemon=True)
        self.process.start()
        theirs.close()
        # Starting is slow on a busy machine, and no file's fault.
        assert self.pipe.recv() == "ready"

    def read(self, case: Case):
        """The answer of the process about a case.

        The test fails if the process died or did not answer.
        """
        self.pipe.send(case)
        try:
            if self.pipe.poll(SECONDS):
                return self.pipe.recv()
            lost = "did not answer"
        except (EOFError, OSError):
            self.process.join()
            lost = f"died with {self.process.exitcode}"
        self.process.kill()
        self._start()
        pytest.fail(f"the process that read it {lost}")

    def close(self) -> None:
        self.process.kill()


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    reader = Reader(folder)
    yield reader
    reader.close()


def _volume(kind: str) -> sitk.Image:
    array = np.zeros((5, 6, 7), np.int16 if kind == "image" else np.uint8)
    array[1:4, 2:4, 2:5] = 1
    if kind == "image":
        array = array * 1500 - np.arange(array.size, dtype=np.int16).reshape(array.shape) % 900
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((20, 21, 60))
    return image


def _case(reader: Reader, spoilt: str, ending: str, content: bytes) -> Case:
    """A case with one good file, and one of these bytes."""
    files = {}
    for kind in ("image", "mask"):
        files[kind] = Path(f"{kind}{ending if kind == spoilt else '.nrrd'}")
        if kind == spoilt:
            (reader.folder / files[kind]).write_bytes(content)
        elif not (reader.folder / files[kind]).exists():
            sitk.WriteImage(_volume(kind), str(reader.folder / files[kind]), True)
    return Case("L1", "1", "left", files["image"], (files["mask"],))


def _bytes(folder: Path, kind: str, ending: str) -> bytes:
    path = folder / f"good_{kind}{ending}"
    if not path.exists():
        sitk.WriteImage(_volume(kind), str(path), ending == ".nrrd")
    return path.read_bytes()


FUZZ = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.timeout(300)
class TestFuzz:
    def test_what_is_not_spoilt_is_read(self, reader):
        for ending in (".nrrd", ".nii"):
            for kind in ("image", "mask"):
                case = _case(reader, kind, ending, _bytes(reader.folder, kind, ending))
                assert (
                    not {"unreadable", "no-spacing", "orientation-unknown", "space-unnamed"} & reader.read(case).keys()
                )

    @FUZZ
    @given(st.sampled_from(["image", "mask"]), st.sampled_from([".nrrd", ".nhdr"]), st.lists(NRRD_LINES, max_size=3))
    def test_fields_of_nrrd(self, reader, kind, ending, lines):
        header, _, voxels = _bytes(reader.folder, kind, ".nrrd").partition(b"\n\n")
        for name, value in lines:
            kept = [line for line in header.split(b"\n") if not line.startswith(f"{name}:".encode())]
            header = b"\n".join([*kept, f"{name}: {value}".encode()])
        reader.read(_case(reader, kind, ending, header + b"\n\n" + voxels))

    @FUZZ
    @given(st.sampled_from(["image", "mask"]), st.sets(st.sampled_from(FIELDS)))
    def test_what_nrrd_leaves_out_is_not_assumed_in_silence(self, reader, kind, left_out):
        header, _, voxels = _bytes(reader.folder, kind, ".nrrd").partition(b"\n\n")
        kept = [line for line in header.split(b"\n") if line.partition(b":")[0].decode() not in left_out]
        codes = reader.read(_case(reader, kind, ".nrrd", b"\n".join(kept) + b"\n\n" + voxels)).keys()
        if left_out & {"type", "dimension", "sizes", "encoding"}:
            assert "unreadable" in codes
        elif "space directions" in left_out:
            assert codes & {"unreadable", "no-spacing"}
        elif "space" in left_out:
            # Without a space and its dimension, vectors cannot be read; with one of both left, they are of no space.
            assert codes & {"unreadable", "space-unnamed", "grid-settled"}

    @FUZZ
    @given(
        st.sampled_from(["image", "mask"]),
        st.sampled_from([".nii", ".nii.gz"]),
        *(st.integers(0, 2), st.integers(0, 2)),
        st.lists(st.sampled_from([0.0, 20.0, float("nan"), 60.0]), min_size=3, max_size=3),
    )
    def test_what_nifti_leaves_out_is_not_assumed_in_silence(self, reader, kind, ending, qform, sform, pixdim):
        content = bytearray(_bytes(reader.folder, kind, ".nii"))
        struct.pack_into("<hh", content, 252, qform, sform)
        struct.pack_into("<fff", content, 80, *pixdim)
        packed = gzip.compress(content) if ending == ".nii.gz" else bytes(content)
        codes = reader.read(_case(reader, kind, ending, packed)).keys()
        stated = all(number > 0 for number in pixdim)
        if sform == 0 and not stated:
            assert "no-spacing" in codes
        elif sform == 0 and qform == 0:
            assert codes & {"orientation-unknown", "grid-settled"}
        elif sform and stated and pixdim != [20.0, 21.0, 60.0]:
            assert "transforms-differ" in codes

    @FUZZ
    @given(st.sampled_from(["image", "mask"]), st.data())
    def test_bytes_of_nrrd(self, reader, kind, data):
        content = bytearray(_bytes(reader.folder, kind, ".nrrd"))
        for _ in range(data.draw(st.integers(1, 8))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        end = data.draw(st.integers(0, len(content)))
        reader.read(_case(reader, kind, ".nrrd", bytes(content[: end if data.draw(st.booleans()) else None])))

    @FUZZ
    @given(st.sampled_from(["image", "mask"]), st.sampled_from([".nii", ".nii.gz"]), st.data())
    def test_header_of_nifti(self, reader, kind, ending, data):
        content = bytearray(_bytes(reader.folder, kind, ".nii"))
        for _ in range(data.draw(st.integers(1, 4))):
            code, value = data.draw(
                st.one_of(
                    st.tuples(st.just("<h"), st.integers(-(2**15), 2**15 - 1)),
                    st.tuples(st.just("<i"), st.integers(-(2**31), 2**31 - 1)),
                    st.tuples(st.just("<f"), st.floats(width=32)),
                    st.tuples(st.just("<B"), st.integers(0, 255)),
                )
            )
            # Mostly where the dimensions, the type, the spacing, the offset and the matrices stand.
            places = st.one_of(st.sampled_from([*range(40, 124, 2), *range(252, 328, 4)]), st.integers(0, 347))
            struct.pack_into(code, content, data.draw(places), value)
        content = content[: data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))]
        reader.read(_case(reader, kind, ending, gzip.compress(content) if ending == ".nii.gz" else bytes(content)))
