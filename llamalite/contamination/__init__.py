"""How much of a benchmark stands in the training data, and what it does to scores. A.6."""
