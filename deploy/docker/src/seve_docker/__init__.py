"""The commands of `./seve` for the stack in containers. Runs on a Python without packages: imports only the standard
library, and modules of ours that do the same. Never installed; deploy/seve.py puts it on the path.
"""
