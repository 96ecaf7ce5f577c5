"""Train the Transformer of Vaswani et al. 2017, written from primitives."""
