"""Models of real text beside an n-gram baseline: bits per byte and samples. Not in the paper."""
