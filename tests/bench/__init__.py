"""`make bench`: the real stack on this machine, driven hard, every event counted."""
