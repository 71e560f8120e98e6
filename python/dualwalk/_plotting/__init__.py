"""The pieces that plots.py is made of: the look of every picture, graphs, and paths of samples."""
