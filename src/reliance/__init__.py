"""What does your CLIP rely on, and should it?"""
