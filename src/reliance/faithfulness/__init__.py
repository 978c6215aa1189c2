"""Faithfulness of relevances: what deleting and inserting the most relevant latents does to the output."""
