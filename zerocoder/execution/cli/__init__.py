"""The commands of `python -m zerocoder.execution`: `matrix` runs programs against tests, `doctor` looks at the host."""
