"""The whole stack without Docker, root or system packages."""
