"""nnU-Net's folders, and a raw dataset in them."""
