"""Shape of one femur: its surface, the landmarks on it, and the angles, distances and lengths between them.

The modules, in the order in which data passes through them:

- `mesh`: the smoothed surface of a mask; `mesh_sections` cuts it with planes and spheres, `sphere_fit` fits spheres.
- `shaft`, `head`, `neck`, `trochanter`, `condyles`: the landmarks of each part; `locating` finds them in this order.
- `border`, `flat_faces`, `protrusions`: signs of a cut or disturbed bone, from which `completeness` decides what is
  measured and what is refused.
- `formulas`: angles, distances and lengths.
- `coarse_anatomy`: side and direction alone, from a coarse copy of the mask.
"""
