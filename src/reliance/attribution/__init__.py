"""How much each component drives each prediction, in closed form."""
