"""Critics that are trained here: a multilayer perceptron and a convolutional network on NumPy's matrix products, and their losses."""
