"""The tables of the student reports, run again."""
