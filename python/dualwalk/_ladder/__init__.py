"""How the default generator is chosen: from the smallest neighbourhood to all rows, on held-out training rows alone.

`rung` makes rows on one rung, `covariance` gives its pooled noise, `criterion` scores rungs on folds, `search` climbs the ladder,
`classes` decides between one ladder and one for every class, `choice` says what was chosen and why; `fit` does it all.
"""
