"""Surfaces for models: closed triangle meshes of a mask with a chosen edge length, and their quality.

The modules, in the order in which data passes through them:

- `remeshing`: triangles of equal size; `bisection` divides long ones, `mesh_edges` lists edges.
- `mask_fit` and `surface_distance`: distance from the surface of the mask, and its correction.
- `triangle_quality` and `self_intersections`: angles, edges, and triangles that cut each other.
- `model_surfaces`: one surface with its quality; `surface_files` writes those of a batch.
"""
