"""ZeroCoder: co-evolve a coder and a tester without ground-truth supervision."""

__version__ = "0.1.0"
