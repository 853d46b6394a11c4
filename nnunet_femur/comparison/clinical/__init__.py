"""Clinical endpoints: the measurements of every predicted femur against those of its reference.

Modules in the order of the data's way:

- `endpoints`: the errors that are computed, one for each quantity of :mod:`nnunet_femur.measurement`.
- `case_ct`: the CT of a case, and the mean CT value of a femur in it.
- `measured_masks`: the femurs of a mask, and their measurements.
- `measurement_cache`: measurements of an earlier run.
- `measuring_predictions`: the measurements of all masks of a comparison.
- `measurement_errors`: femurs of a prediction beside those of its reference, and the table of errors.
"""
