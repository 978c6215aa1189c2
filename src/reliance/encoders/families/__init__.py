"""Families of models: one module each, with a map from what a site needs to where that is in the model."""
