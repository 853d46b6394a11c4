"""Measurements as tables, landmarks for 3D Slicer, and pictures.

- `measurement_tables`: rows of the CSV and JSON files; `measurement_report`: the tables of the terminal.
- `femur_files`: the files of one femur: `slicer_markups`, and `landmark_picture`, which draws the views of
  `femur_views` by `surface_shading` and `view_drawing`.
"""
