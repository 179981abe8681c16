"""What runs on the far side of the process boundary: a worker and everything it forks.

This package is loaded by a bare `python -S` as the top-level package `sandbox`, so it imports the standard library
only and nothing of zerocoder outside this folder. One worker is a small family of processes:

    guard     reaps the worker, kills it when the trainer dies or asks for it (guard.py)
    warden    holds the expected values, compares, counts CPU time; runs no untrusted code (warden.py)
    zygote    forked off before any job arrives; forks the three below on demand (zygote.py)
    runner    one program: gets arguments, returns values (runner.py) or a script's output (script.py)
    judge     one test that is more than literals; its entry point is a call by message (judge.py)
    planner   parses sources: equal programs and tests, tests that are only literals (planner.py)

Programs that leave nothing behind run in one runner after each other, and such tests in one judge (sealed.py, crew.py).

Expected values live in the trainer, the warden, the planner and the judge, never in a runner or in an ancestor whose
memory a runner inherits: a program cannot read what it should return, and no text, exit status or exception of it is
taken for a verdict.
"""
