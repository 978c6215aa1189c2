"""Figures of components: clarity, concepts, and pictures of what fits no name."""
