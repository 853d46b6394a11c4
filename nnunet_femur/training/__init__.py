"""Training inside nnU-Net: the base of all trainers, the network of lowest loss, and the record of a training."""
