"""Top-k sparse autoencoders: model, sparse training step, training, files."""
