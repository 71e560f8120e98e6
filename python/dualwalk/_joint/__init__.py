"""The joint mode of the dual space: clusters of points and the dual functions that set them apart, learned together.

`levels` turns series into a few levels, `pattern` is the dual function of a cluster, `search` alternates it with the cut.
"""
