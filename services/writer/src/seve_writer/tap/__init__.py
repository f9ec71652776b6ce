"""`seve-writer tap`: what is stored, as it is stored."""
