"""Files that hold many images: how an image in one is read again, one module per kind."""
