"""What does your CLIP rely on, and should it?"""

__version__ = "0.1.0"
