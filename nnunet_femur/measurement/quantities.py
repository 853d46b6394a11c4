"""Quantities of a femur's shape, in the order of tables and files."""

from __future__ import annotations

from functools import partial

from nnunet_femur.measurement.quantity import COHORT, Quantity

_HARTEL = "Hartel et al. 2016, 1070 CTs"
_WU = "Wu et al. 2002 (ISB)"

_vector = partial(Quantity, is_vector=True)

SHAPE_QUANTITIES = (
    _vector("head_center_mm_lps", "head centre", "mm", "Centre of the sphere of the head.", "head"),
    Quantity(
        "head_radius_mm",
        "head radius",
        "mm",
        "Radius of the sphere fitted to the head within 110 degrees of the direction away from the neck.",
        "head",
        (20, 27.5),
        COHORT,
    ),
    Quantity("head_diameter_mm", "head diameter", "mm", "Twice the head radius.", "head", (40, 55), COHORT),
    Quantity(
        "head_fit_rms_mm",
        "residual of the head",
        "mm",
        "Root mean square distance of the head's surface from its sphere.",
        "head",
        (0.2, 0.7),
        COHORT,
    ),
    Quantity(
        "head_covered_percent",
        "covered part of the head",
        "%",
        "Area of the fitted surface as a share of the whole sphere.",
        "head",
        (56, 68),
        COHORT,
    ),
    _vector(
        "neck_center_mm_lps",
        "neck centre",
        "mm",
        "Mean of the centroids of nine sections across the neck, 0.8 to 1.1 head radii from the head centre.",
        "neck",
    ),
    _vector("neck_axis_lps", "neck axis", "1", "Direction from the neck centre to the head centre.", "neck"),
    Quantity(
        "neck_width_min_mm",
        "smallest neck width",
        "mm",
        "Smallest Feret diameter of the narrowest section across the neck axis.",
        "neck",
        (22, 35),
        COHORT,
    ),
    Quantity(
        "neck_width_max_mm",
        "largest neck width",
        "mm",
        "Largest Feret diameter of the narrowest section across the neck axis.",
        "neck",
        (30.5, 42.5),
        COHORT,
    ),
    Quantity(
        "neck_area_mm2",
        "neck area",
        "mm2",
        "Area of the narrowest section across the neck axis.",
        "neck",
        (510, 1085),
        COHORT,
    ),
    _vector(
        "shaft_axis_lps",
        "shaft axis",
        "1",
        "Direction, upwards, of the line through the centroids of sections across it at 30 to 70 % of the length.",
        "whole",
    ),
    Quantity(
        "shaft_fit_rms_mm",
        "residual of the shaft axis",
        "mm",
        "Root mean square distance of the centroids from the shaft axis; it grows with the bow.",
        "whole",
    ),
    _vector(
        "proximal_shaft_axis_lps",
        "proximal shaft axis",
        "1",
        "As the shaft axis, from sections 3.2 to 6.4 head radii below the head centre.",
        "proximal-shaft",
    ),
    _vector(
        "posterior_condyle_medial_mm_lps",
        "posterior medial condyle",
        "mm",
        "Medial point of contact of the posterior condylar line: a line across the shaft axis that touches both "
        "condyles from behind.",
        "whole",
    ),
    _vector(
        "posterior_condyle_lateral_mm_lps",
        "posterior lateral condyle",
        "mm",
        "Lateral point of contact of the posterior condylar line.",
        "whole",
    ),
    _vector(
        "flank_medial_mm_lps",
        "medial flank",
        "mm",
        "Mean of the surface within 1.5 mm of the most prominent point of the medial flank, up to 1.2 head radii above "
        "the centre of the condyle. It is near the medial epicondyle, but not the same point.",
        "whole",
    ),
    _vector("flank_lateral_mm_lps", "lateral flank", "mm", "The same on the lateral side.", "whole"),
    Quantity(
        "flank_axis_angle_deg",
        "flank axis angle",
        "deg",
        "Angle of the line between the flank points to the posterior condylar line, across the mechanical "
        "axis; positive if the medial end is anterior. It is not the transepicondylar axis (5.2 ± 1.6 degrees).",
        "whole",
        (-3, 5),
        COHORT,
    ),
    Quantity(
        "condylar_axis_angle_deg",
        "condylar axis angle",
        "deg",
        "Angle of the line between the centres of the condyle spheres to the posterior condylar line, across the "
        "mechanical axis. A large one means that one of both is disturbed.",
        "whole",
        (-4, 4),
        COHORT,
    ),
    _vector(
        "knee_center_mm_lps", "knee centre", "mm", "Middle of two spheres fitted to the posterior condyles.", "whole"
    ),
    _vector(
        "mechanical_axis_lps", "mechanical axis", "1", "Direction from the knee centre to the head centre.", "whole"
    ),
    _vector(
        "isb_x_lps",
        "ISB x axis",
        "1",
        "To anterior, perpendicular to the two others; the origin is the head centre.",
        "whole",
        source=_WU,
    ),
    _vector("isb_y_lps", "ISB y axis", "1", "Along the mechanical axis to superior.", "whole", source=_WU),
    _vector(
        "isb_z_lps",
        "ISB z axis",
        "1",
        "To the right, in the plane of the head centre and the centres of the condyle spheres, which stand for the "
        "epicondyles.",
        "whole",
        source=_WU,
    ),
    Quantity(
        "neck_shaft_angle_deg",
        "neck-shaft angle (3D)",
        "deg",
        "Angle in space between the neck axis and the proximal shaft axis downwards.",
        "proximal-shaft",
        (110, 137),
        _HARTEL,
    ),
    Quantity(
        "neck_shaft_angle_frontal_deg",
        "neck-shaft angle (frontal)",
        "deg",
        "The same in the frontal plane, which contains the mechanical axis and the posterior condylar line.",
        "whole",
        (109, 142),
        COHORT,
    ),
    Quantity(
        "version_neck_deg",
        "version (neck)",
        "deg",
        "Angle of the neck axis to the posterior condylar line, across the mechanical axis; positive to anterior.",
        "whole",
        (-5, 27),
        COHORT,
    ),
    Quantity(
        "version_murphy_deg",
        "version (Murphy)",
        "deg",
        "As version (neck), from the centroid of the shaft section 8 mm above the peak of the lesser trochanter to the "
        "head centre.",
        "whole",
        (1, 45),
        "after Murphy et al. 1987; range of 23.2 ± 11.2 degrees (orthoglobe 42116605)",
    ),
    Quantity(
        "version_head_shaft_deg",
        "version (head-shaft)",
        "deg",
        "As version (neck), from the point of the proximal shaft axis at the peak of the lesser trochanter to the "
        "head centre.",
        "whole",
        (0, 37),
        "after Schmaranzer et al. 2024",
    ),
    Quantity(
        "version_neck_shaft_plane_deg",
        "version (neck, across the shaft)",
        "deg",
        "As version (neck), across the shaft axis.",
        "whole",
        (-3, 29),
        COHORT,
    ),
    Quantity(
        "anatomical_mechanical_angle_deg",
        "anatomical-mechanical angle (frontal)",
        "deg",
        "Angle between shaft axis and mechanical axis in the frontal plane.",
        "whole",
        (3, 9.5),
        COHORT,
    ),
    Quantity(
        "anatomical_mechanical_angle_3d_deg",
        "anatomical-mechanical angle (3D)",
        "deg",
        "Angle between shaft axis and mechanical axis in space.",
        "whole",
        (5, 12),
        COHORT,
    ),
    Quantity(
        "mldfa_deg",
        "mLDFA",
        "deg",
        "Mechanical lateral distal femoral angle: in the frontal plane, between the line that touches both condyles "
        "from below, to lateral, and the mechanical axis.",
        "whole",
        (81, 91),
        COHORT,
    ),
    Quantity(
        "aldfa_deg",
        "aLDFA",
        "deg",
        "Anatomical lateral distal femoral angle: as mLDFA, with the shaft axis.",
        "whole",
        (74, 85),
        COHORT,
    ),
    Quantity(
        "offset_mm",
        "offset (3D)",
        "mm",
        "Distance of the head centre from the proximal shaft axis.",
        "proximal-shaft",
        (30, 60),
        COHORT,
    ),
    Quantity(
        "offset_frontal_mm", "offset (frontal)", "mm", "The same in the frontal plane.", "whole", (20, 60), COHORT
    ),
    Quantity(
        "length_longest_mm",
        "longest length",
        "mm",
        "Largest distance of two points of the bone.",
        "whole",
        (390, 515),
        COHORT,
    ),
    Quantity(
        "length_bicondylar_mm",
        "bicondylar length",
        "mm",
        "Extent of the bone in the frontal plane, perpendicular to the line that touches both condyles from below.",
        "whole",
        (385, 510),
        COHORT,
    ),
    Quantity(
        "length_mechanical_mm",
        "mechanical length",
        "mm",
        "Distance from the head centre to the highest point of the notch between the condyles.",
        "whole",
        (360, 475),
        COHORT,
    ),
    Quantity(
        "bow_anterior_mm",
        "anterior bow",
        "mm",
        "Distance of the shaft's centroid at 50 % of the length from the chord between 20 and 80 %, to anterior.",
        "whole",
        (4, 14),
        COHORT,
    ),
    Quantity(
        "isthmus_diameter_mm",
        "isthmus diameter (outer)",
        "mm",
        "Diameter of the circle with the area of the smallest outer section at 30 to 75 % of the length from the top.",
        "whole",
        (23, 31),
        COHORT,
    ),
    Quantity(
        "isthmus_level_percent", "isthmus level", "%", "Its level, from the top of the bone.", "whole", (37, 61), COHORT
    ),
    Quantity(
        "shaft_area_mid_mm2",
        "mid-shaft area",
        "mm2",
        "Area of the outer section at half of the length.",
        "whole",
        (420, 750),
        COHORT,
    ),
    Quantity(
        "surface_area_cm2",
        "surface area",
        "cm2",
        "Area of the smoothed surface of the mask.",
        "bone",
        (450, 790),
        COHORT,
    ),
    Quantity("volume_ml", "volume", "ml", "Volume of the voxels of the mask.", "bone", (300, 740), COHORT),
)
"""Quantities of a mask alone."""

QUANTITIES = {quantity.key: quantity for quantity in SHAPE_QUANTITIES}
"""All quantities by key, in the order of tables and files."""
