"""The ledger of the paper's claims: one study per claim, its rule, its verdict."""

from llamalite.claims.ledger import ledger, ledger_markdown, print_ledger, result_markdown
from llamalite.claims.results import load_result, load_results, results_folder
from llamalite.claims.runner import run_claims
from llamalite.claims.statements import CLAIMS, Claim, parse_ids
from llamalite.claims.study import all_studies, claim

__all__ = [
    "CLAIMS",
    "Claim",
    "all_studies",
    "claim",
    "ledger",
    "ledger_markdown",
    "load_result",
    "load_results",
    "parse_ids",
    "print_ledger",
    "result_markdown",
    "results_folder",
    "run_claims",
]
