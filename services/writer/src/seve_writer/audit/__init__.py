"""Whether every message that entered the journal is accounted for: `seve-writer audit`. Changes nothing anywhere."""
