"""The share of false refusals with its interval, under the name of what it is used for most.

Llama 2, section 4.2.3 and figure 33; which replies count is `llamalite.evaluation.replies`' to say.
"""

from llamalite.evaluation.scoring import share

__all__ = ["share"]
