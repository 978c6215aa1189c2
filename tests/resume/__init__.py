"""The pipeline after kills, damage, other threads and a second run, all on one build of the small variant."""
