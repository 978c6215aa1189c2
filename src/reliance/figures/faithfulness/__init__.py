"""Figures of the faithfulness of attributions."""
