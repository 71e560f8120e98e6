"""Multi-scale refinement of f: a local dual function inside each of a few clusters, blended with the node path's.

`mixture` is the local dual: a Gaussian dependence a cluster. `choice` decides on held-out rows whether there are clusters,
which, and how much they count.
"""
