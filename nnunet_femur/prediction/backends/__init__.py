"""Libraries that compute a trained network: PyTorch, and OpenVINO on processors."""

from nnunet_femur.prediction.backends.backend import Backend
from nnunet_femur.prediction.backends.choice import make_backend
from nnunet_femur.prediction.backends.openvino_backend import ConvertedNetwork, OpenVinoBackend
from nnunet_femur.prediction.backends.torch_backend import TorchBackend

__all__ = ["Backend", "ConvertedNetwork", "OpenVinoBackend", "TorchBackend", "make_backend"]
