"""The stack in containers, behind `./seve`. Runs on a bare Python: imports the standard library only, and modules of
ours that do the same. Never installed; deploy/seve.py puts it on the path.
"""
