"""The configuration: its sections, how a variant is resolved, and how mistakes are explained."""
