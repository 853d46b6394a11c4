"""Checks of cases before they are converted.

- `duplicates`: cases with the same exam under different names.
- `header_checks`: headers, and the grids of CT and mask.
- `mask_checks`: size, shape and position of the femur. The values of the CT are checked by
  :mod:`nnunet_femur.imaging.hounsfield`.
"""
