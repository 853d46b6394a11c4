"""Fine-tuning of TotalSegmentator's network.

- `weight_transfer`: checks the source's weights and copies them into the network of the plans.
- `parameter_groups`: a learning rate for each stage of the network.
- `elastic_deformation`: smooth random displacements of training patches.
- `finetune_trainer`: the trainer, with warm-up, average of the weights and augmentation.
"""
