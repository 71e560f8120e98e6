"""New values for the unknown coordinates of a sample, the known ones held: imputation and forecasting as conditional walks.

In the space of the scores, the unknown part of a row given its known part is taken Gaussian round the row: a regression shared by
all rows, shrunk to a structured one, plus what the nearest rows (in the known coordinates) leave of it. The walk holds the known
coordinates and moves the rest on the conditional dual function, from what the regression missed at a near row. Everything that is
chosen is chosen by errors at rows left out, in closed form.

`space` maps columns to scores and back, `target` is the covariance that regressions are shrunk to, `regression` is the shared part
(`precision` the same for many patterns at once), `neighborhood` the local one, `conditional` joins them for one pattern of known
columns, `settings` says what it is made of, `choice` picks that, `fill` serves whole arrays, `request` checks what is asked for.
"""
