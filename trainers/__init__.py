"""The nnUNetTrainer subclasses that nnU-Net finds by name."""
