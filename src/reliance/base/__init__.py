"""What every room stands on: errors, artifacts that say who they are, rows in parts, files in the making."""
