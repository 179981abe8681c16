"""What a training step is made of: who answers, what the answers meet, and what they are rewarded for.

A new algorithm is one file here plus one YAML in conf/algorithm/: a dataclass derived from `base.Algorithm`, whose
fields are its own settings. Nothing else knows the algorithms by name.
"""
