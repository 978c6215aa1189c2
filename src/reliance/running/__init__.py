"""How a job runs: its entry point, the fingerprint of the code it reaches, the check of what it left."""
