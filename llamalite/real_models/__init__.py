"""Models that others trained: fetched, talked to, and handed on. Not in the paper."""
