"""Inside the encoder: what neurons and heads of a vision transformer write into z, and where from."""
