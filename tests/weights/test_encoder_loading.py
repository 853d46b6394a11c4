"""Pretrained weights of encoders from a folder, from the hub's cache and from a hub; dummies replace the real files."""

from __future__ import annotations

import hashlib
import http.server
import shutil
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import huggingface_hub
import pytest
import segmentation_models_pytorch as smp
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from typer.testing import CliRunner

from nnunet_femur.cli import app
from nnunet_femur.errors import InputError
from nnunet_femur.networks.registry import ENCODERS, build_slice_network
from nnunet_femur.weights import encoders as encoder_files
from nnunet_femur.weights.encoder_loading import adopt_folder, check_weights_file, load_encoder_weights
from tests.refusing import refused

if TYPE_CHECKING:
    from collections.abc import Iterator

RESNET34 = "resnet34.imagenet.safetensors"
RESNET50 = "resnet50.imagenet.safetensors"
MOBILENET = "tf_mobilenetv3_large_100.in1k.safetensors"


def _classifiers() -> dict[str, torch.nn.Module]:
    """The networks with three input channels whose weights the files hold, here with random ones."""
    torch.manual_seed(0)
    made = {
        RESNET34: smp.encoders.get_encoder("resnet34", weights=None),
        RESNET50: smp.encoders.get_encoder("resnet50", weights=None),
        MOBILENET: timm.create_model("tf_mobilenetv3_large_100"),
    }
    for network in made.values():
        network.eval()
    return made


@pytest.fixture(scope="module")
def classifiers() -> dict[str, torch.nn.Module]:
    return _classifiers()


@pytest.fixture(scope="module")
def filled(classifiers: dict[str, torch.nn.Module], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all files, as another machine has it."""
    folder = tmp_path_factory.mktemp("encoders")
    for name, network in classifiers.items():
        state = {key: value for key, value in network.state_dict().items() if "num_batches" not in key}
        source = folder / f"download-{name}"
        save_file(state, source)
        encoder_files.adopt(source, folder / name)
        source.unlink()
    return folder


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No hub, an empty cache and an empty folder; the folder is given."""
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(encoder_files.VARIABLE, str(tmp_path / "encoders"))
    return tmp_path / "encoders"


@pytest.fixture
def hub(offline: Path, filled: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A hub on this machine that has the three files; the list of what it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            asked.append(f"{self.command} {self.path}")
            path = filled / f"{self.path.split('/resolve/')[0].rpartition('/')[2]}.safetensors"
            if not path.is_file():
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("X-Repo-Commit", "0" * 40)
            self.send_header("ETag", f'"{hashlib.sha256(path.name.encode()).hexdigest()}"')
            self.send_header("Content-Length", str(path.stat().st_size))
            self.end_headers()
            if body:
                self.wfile.write(path.read_bytes())

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    yield asked
    server.shutdown()
    server.server_close()


class TestLoading:
    @pytest.mark.parametrize("encoder", ENCODERS)
    def test_a_grey_image_gives_the_output_of_its_coloured_copy(
        self,
        encoder: str,
        offline: Path,
        filled: Path,
        classifiers: dict[str, torch.nn.Module],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv(encoder_files.VARIABLE, str(filled))
        network = build_slice_network("Unet", encoder, in_channels=1, classes=2).eval()
        load_encoder_weights(network, encoder, "imagenet", in_channels=1)
        grey = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(1))
        coloured = grey.expand(-1, 3, -1, -1)
        with torch.inference_mode():
            found = network.encoder(grey)[1:]
            if encoder == "MobileNetV3":
                expected = classifiers[MOBILENET].forward_intermediates(coloured, intermediates_only=True)
            else:
                expected = classifiers[RESNET34 if encoder == "ResNet34" else RESNET50](coloured)[1:]
        # The deepest feature of DeepLabV3 is the pyramid, which ImageNet's weights do not have.
        compared = 3 if encoder == "DeepLabV3" else 5
        for ours, theirs in list(zip(found, expected, strict=False))[:compared]:
            assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-3), encoder
            assert ours.std() > 0

    def test_deeplabv3_takes_the_deepest_stage_too(
        self, filled: Path, classifiers: dict[str, torch.nn.Module], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(encoder_files.VARIABLE, str(filled))
        network = build_slice_network("UnetPlusPlus", "DeepLabV3", in_channels=1, classes=2)
        load_encoder_weights(network, "DeepLabV3", "imagenet", in_channels=1)
        for key, value in classifiers[RESNET50].layer4.state_dict().items():
            assert torch.equal(network.encoder.layer4.state_dict()[key], value)

    def test_unknown_weights_are_refused_with_the_known_ones(self) -> None:
        network = build_slice_network("Unet", "ResNet34", in_channels=1, classes=2)
        with refused("invalid-option", "ResNet34", "'imagenet22k'", "imagenet,"):
            load_encoder_weights(network, "ResNet34", "imagenet22k", in_channels=1)


class TestFinding:
    @pytest.mark.parametrize("encoder", ["ResNet34", "MobileNetV3"])
    def test_without_internet_the_error_has_the_commands(self, encoder: str, offline: Path) -> None:
        with refused("no-weights", offline, "--download", "--from-folder", "--no-pretrained"):
            encoder_files.find_weights_file(encoder, "imagenet")

    def test_a_silent_server_is_asked_once(self, offline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The hub's client would try again for a minute, so it is only started if the server answers."""
        started: list[bool] = []

        def fetch(*_: Any, local_files_only: bool = False, **__: Any) -> str:
            started.append(not local_files_only)
            raise FileNotFoundError

        monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
            with refused("no-weights", "ResNet34"):
                encoder_files.find_weights_file("ResNet34", "imagenet")
        assert started == [False], "only the cache was asked"

    def test_the_hubs_cache_is_used_as_it_is(self, offline: Path, filled: Path) -> None:
        file = encoder_files.weights_file("ResNet50")
        owner, _, name = file.repository.partition("/")
        cached = Path(constants.HF_HUB_CACHE) / f"models--{owner}--{name}" / "snapshots" / str(file.revision)
        cached.mkdir(parents=True)
        shutil.copy(filled / RESNET50, cached / "model.safetensors")
        assert encoder_files.find_weights_file("DeepLabV3", "imagenet") == cached / "model.safetensors"

    def test_the_folder_comes_first(self, offline: Path, filled: Path) -> None:
        adopt_folder(filled, offline)
        assert encoder_files.find_weights_file("ResNet34", "imagenet") == offline / RESNET34

    def test_a_hub_is_asked_once(self, hub: list[str], offline: Path) -> None:
        found = encoder_files.find_weights_file("MobileNetV3", "imagenet")
        check_weights_file(found, "MobileNetV3")
        asked = len(hub)
        assert asked > 0
        assert encoder_files.find_weights_file("MobileNetV3", "imagenet") == found
        assert len(hub) == asked, "the second time, it is in the cache"


class TestChecking:
    def test_a_truncated_file(self, filled: Path, tmp_path: Path) -> None:
        damaged = tmp_path / RESNET34
        damaged.write_bytes((filled / RESNET34).read_bytes()[:1000])
        with refused("invalid-weights", damaged):
            check_weights_file(damaged, "ResNet34")

    def test_an_altered_file(self, filled: Path, tmp_path: Path) -> None:
        shutil.copytree(filled, tmp_path / "copy")
        content = bytearray((tmp_path / "copy" / RESNET34).read_bytes())
        content[-1] ^= 1
        (tmp_path / "copy" / RESNET34).write_bytes(content)
        with refused("invalid-weights", tmp_path / "copy" / RESNET34, "checksum"):
            check_weights_file(tmp_path / "copy" / RESNET34, "ResNet34")

    def test_a_file_of_another_network(self, filled: Path, tmp_path: Path) -> None:
        shutil.copy(filled / RESNET34, tmp_path / RESNET50)
        with refused("invalid-weights", tmp_path / RESNET50, "DeepLabV3"):
            check_weights_file(tmp_path / RESNET50, "DeepLabV3")


class TestCommand:
    def test_from_a_folder(self, offline: Path, filled: Path) -> None:
        result = CliRunner().invoke(app, ["weights", "encoders", "--from-folder", str(filled)])
        assert result.exit_code == 0, result.output
        lines = result.stdout.splitlines()
        assert lines[0] == str(offline)
        assert [line.split(maxsplit=2) for line in lines[1:]] == [
            ["ok", RESNET34, "ResNet34"],
            ["ok", RESNET50, "ResNet50, DeepLabV3"],
            ["ok", MOBILENET, "MobileNetV3"],
        ]
        assert encoder_files.read_checksums(offline) == encoder_files.read_checksums(filled)

    def test_downloading(self, hub: list[str], offline: Path, filled: Path, tmp_path: Path) -> None:
        result = CliRunner().invoke(app, ["weights", "encoders", "--download", "--folder", str(tmp_path / "usb")])
        assert result.exit_code == 0, result.output
        for name in (RESNET34, RESNET50, MOBILENET):
            assert (tmp_path / "usb" / name).read_bytes() == (filled / name).read_bytes()
        asked = len(hub)
        again = CliRunner().invoke(app, ["weights", "encoders", "--download", "--folder", str(tmp_path / "usb")])
        assert again.exit_code == 0
        assert len(hub) == asked, "existing files stay"

    def test_missing_files_are_listed(self, offline: Path, filled: Path) -> None:
        offline.mkdir()
        shutil.copy(filled / RESNET34, offline)
        result = CliRunner().invoke(app, ["weights", "encoders"])
        assert isinstance(result.exception, InputError)
        assert result.exception.code == "no-weights"
        assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == ["ok", "missing", "missing"]

    def test_an_empty_folder_is_refused(self, offline: Path, tmp_path: Path) -> None:
        with refused("no-weights", tmp_path, RESNET34):
            adopt_folder(tmp_path, offline)

    def test_help_has_an_example(self) -> None:
        assert "Example:" in CliRunner().invoke(app, ["weights", "encoders", "--help"]).output
