"""What a question asks for, and what of it is granted. Reads nothing."""
