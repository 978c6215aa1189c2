"""What x is taken apart into."""
