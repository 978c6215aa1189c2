"""From failure to repair: families of units, what they explain, proof, repairs, the mended classifier."""
