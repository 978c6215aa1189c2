"""How well text prompts and linear probes tell a class from its distractors."""
