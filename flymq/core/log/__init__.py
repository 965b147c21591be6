"""The rules of one partition's log: what may be appended where, by whom, and what is readable."""
