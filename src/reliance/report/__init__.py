"""One page per variant: figures, findings, cases, and where all of it comes from."""
