"""Critics that are trained here: a small multilayer perceptron on NumPy's matrix products, and the losses it is trained with."""
