"""Dependence between blocks of columns: one critic for each block against the blocks before it, on an elliptical base."""
