"""Tables in, figures and captions out."""
