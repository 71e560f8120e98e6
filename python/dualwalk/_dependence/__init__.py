"""How strongly all pairs of very many columns depend on each other, and the order that follows, without a d x d matrix.

`tiles`: the strengths, tile by tile. `forest`: the strongest edges of tiles, and of several forests. `order`: the columns in Prim's
order along the one tree that is left. A tile is always the same columns in the same product, so that whoever computes it, here
or on a cluster, gets the same bits.
"""
