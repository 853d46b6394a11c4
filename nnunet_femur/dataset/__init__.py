"""nnU-Net's folders, and a raw dataset in them: description, cases, images, masks, patients and folds."""
