"""`top`: one screen of what flows, how late it is and what is refused. `screen` and `figures` are pure."""
