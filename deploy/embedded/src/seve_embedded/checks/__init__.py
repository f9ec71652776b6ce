"""The checks of `check`: settings, versions, disk, clock, permissions, certificates. Each returns findings; none starts
or changes anything.
"""
