"""An audit of a linear classifier on CLIP embeddings: what it relies on, and a repair (Sec. 5.4, App. E)."""
