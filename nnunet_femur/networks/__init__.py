"""Networks besides nnU-Net's own, and changes of nnU-Net's.

- `registry`: two-dimensional networks of segmentation-models-pytorch by name, with the encoder of `deeplabv3`.
- `three_planes`: the wrapper with which nnU-Net uses such a network on volumes.
- `oblique_planes`: further planes, through a rotated volume.
- `merged_heads`: TotalSegmentator's output channels merged to background and femur.
- `adapters`: low-rank additions to the weights of convolutions, for fine-tuning.
- `precision`: float32, float16 or bfloat16.
"""
