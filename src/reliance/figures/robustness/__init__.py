"""Figures of the robustness benchmark: failure modes of text-image probing."""
