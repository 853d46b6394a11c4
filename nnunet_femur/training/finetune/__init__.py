"""Fine-tuning of TotalSegmentator's network.

- `weight_transfer`: checks the source's weights and copies them into the network of the plans.
- `parameter_groups`: a learning rate for each stage of the network.
- `elastic_deformation`: smooth random displacements of training patches.
- `weight_choice`: candidates for the final weights, and the rule by which one is chosen.
- `choosing_trainer`: ends with the candidate that is best on whole validation cases.
- `finetune_trainer`: the trainer, with warm-up, frozen layers, adapters and augmentation.
"""
