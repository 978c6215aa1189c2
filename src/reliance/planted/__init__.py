"""The embedded data: a drawn world with planted failures, and the small CLIPs that learn it."""
