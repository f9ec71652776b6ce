"""Shared by both modes of the stack: `.env`, tables, log files, status."""
