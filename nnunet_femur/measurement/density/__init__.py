"""Density and cortex of one femur, from its mask and a CT.

The modules, in the order in which data passes through them:

- `ct_on_mask`: the CT on the grid of the mask; `unmeasured` excludes metal, padding and values that are not HU.
- `bone_parts`: head, neck, trochanteric region, shaft and condyles, from the landmarks.
- `density`: HU of each part, in mg/cm³ by `calibration`.
- `cortex`: areas and thickness of the cortex at levels of the shaft, from edges by `cortex_edges`.
- `ct_measuring`: all of them for one femur; `ct_quantities` is the table of the quantities.
"""
