"""Problem sources: one module a source, none of which imports torch."""
