"""Bad and hostile input, all of it in one place."""
