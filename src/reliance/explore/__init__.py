"""Looking at what was built: what a figure shows, asked of one variant."""
