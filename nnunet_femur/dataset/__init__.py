"""nnU-Net's folders, and the raw datasets in them.

- `environment`: nnU-Net's three folders, its search path of trainers, and the launcher of TotalSegmentator.
- `raw`: a raw dataset with its description, cases, images, masks and patients.
- `folds`: its folds, checked before anything is trained on them.
- `user_tables`: tables that users write, as spreadsheet programs save them.
- `nnunet_names`: names of plans, configurations, checkpoints and folders of trained models.
"""
