"""Benchmarks, metrics and reports: how good the policy is in its two roles, measured with ground truth."""
