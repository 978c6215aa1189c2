"""SAEs as others store them: read into our form, and written from it. A format is a row of `table`."""
