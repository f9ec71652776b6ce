"""What `check` looks at: settings, versions, disk, clock, permissions, certificates. Each tells findings; none starts
or changes anything.
"""
