"""The rest of the model behind a site: from a change of x to the output."""
