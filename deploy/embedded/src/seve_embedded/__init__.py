"""The whole stack on a bare machine: no Docker, no root, no system package."""
