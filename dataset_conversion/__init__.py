"""Dataset conversion scripts in the manner of nnU-Net, one per dataset."""
