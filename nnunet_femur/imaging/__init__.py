"""One volume, in the order it is used.

`reading` opens a CT or a mask for every command, a file or DICOM (`dicom` and the modules named after it);
`hounsfield` checks the values of a CT; `segments` and `labels` choose what of a mask is femur; `grids` places a mask on
its CT.
"""
