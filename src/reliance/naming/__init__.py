"""Components as a table: statistics, clarity, a name."""
