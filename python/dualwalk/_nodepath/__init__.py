"""The path of small dual functions behind DualDivergence: one node a column, one network for all of them.

`fit` runs all folds, `fold` one. What nodes are told: `path` (order and contexts), from `gaussian_base` (with `conditionals` and
`greedy_net`), `screen` (triples) and `features`. What reads it: `network` and `training`, the shared network; `density`, the grid
that terms are normalized over; `tables`, counts for columns of levels (`ties`). `rank_noise` is what ranks cost, `graph` what the
nodes found.
"""
