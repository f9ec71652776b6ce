"""`seve-writer audit`: checks whether every message that entered the journal is accounted for. Changes nothing."""
