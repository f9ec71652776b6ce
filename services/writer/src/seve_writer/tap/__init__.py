"""`seve-writer tap`: shows rows as they are stored."""
