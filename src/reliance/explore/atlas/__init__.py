"""The atlas of a variant: every unit, class, case and shown image as pages that need no server."""
