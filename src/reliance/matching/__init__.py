"""Units of several dictionaries on the same images: which of one are those of another."""
