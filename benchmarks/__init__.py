"""Speed side by side with other programs: `python -m benchmarks`, or one part of it."""
