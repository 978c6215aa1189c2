"""What components stand for: in other bases, next to the names of classes, and where nobody would look."""
