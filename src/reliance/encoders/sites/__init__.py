"""Where in an encoder x is read: one module per site; their names are in config/sites.py."""
