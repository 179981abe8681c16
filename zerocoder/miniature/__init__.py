"""The paper's experiments in miniature: `python -m zerocoder.miniature` trains, evaluates and writes docs/miniature.md.

`plan` says which runs there are, `runner` starts train.py and evaluate.py as processes, `scores` and `statistics` turn
what they left into numbers with intervals, `findings` judges the paper's claims by them, `tables`, `figures` and `page`
write them down. Nothing here takes part in training.
"""
