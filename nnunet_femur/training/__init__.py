"""Training inside nnU-Net. The classes that nnU-Net finds by name are in :mod:`nnunet_femur.trainers`.

From nnU-Net's trainer to those of this package:

- `checked_trainer`: nnU-Net's trainer with checked inputs and safe checkpoints; `run_record` writes its ``run.json``.
- `base`: network, optimizer, loss and augmentation by the recipe in the plans.
- `lowest_loss`: ends with the network of the lowest training loss.
- `averaging_trainer`: validates and ends with a moving average of the weights.
- `volume_dice`: Dice of a network on whole validation cases.
- `finetune`: starts from TotalSegmentator's network.
- `slices`: trains two-dimensional networks on slices.
"""
