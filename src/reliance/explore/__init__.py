"""A built variant as one object: opened by its folder, read lazily, checked."""
