"""Random clusters with failures whose cause is known, because we made them: the widest proof that the root is right.

A story is a layout (Git sources, Kustomizations in trees, Helm releases, dependencies), pretended controllers that
behave as reference texts say of Flux 2.9, and faults that arrive with a commit. What it yields is a recording and its
truth; `python -m tests.random_clusters --count 100000` plays as many as one likes.
"""
