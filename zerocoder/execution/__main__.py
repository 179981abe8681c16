"""The verifier as a command: `python -m zerocoder.execution matrix|doctor`; see docs/verifier.md."""

from zerocoder.execution.cli.main import main

if __name__ == "__main__":
    main()
