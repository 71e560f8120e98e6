"""The path of small dual functions behind DualDivergence: one node a column, one network for all of them.

`gaussian_base` is the copula that the nodes start from, `path` the order of the columns and what each node is told, `network`
and `training` the shared network, `density` the normalized dual function of a node, `fold` one fold of all that.
"""
