"""The journal: every batch on this machine's disk before anybody else has it, until it is known to be written."""
