"""What one or several runs logged, as pictures, Markdown and one page: `python -m zerocoder.report <run>...`.

`logs` reads a run's folder, `grouping` puts the seeds of one setting together, `plots` draws, the other files write.
"""
