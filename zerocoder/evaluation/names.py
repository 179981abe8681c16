"""What the scores of an evaluation are called, for those who show them and need not load what measures them."""

METRICS = {
    "pass_at_1": "coder Pass@1",
    "test_accuracy": "test accuracy",
    "mutation_score": "mutation score",
    "coder_format_errors": "coder format errors",
    "tester_format_errors": "tester format errors",
}
"""Shown metrics (all shares) -> their names. `Pass@k` for other k stands behind the first."""
