"""The micro-world: generators, truth, grader and annotators. It knows nothing of models."""
