"""CLIP: weights, the class token, the head, the text tower."""
