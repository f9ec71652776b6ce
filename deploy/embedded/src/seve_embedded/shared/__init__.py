"""What both modes of the stack use: `.env`, tables, log files, status."""
