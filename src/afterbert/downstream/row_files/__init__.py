"""Files whose rows are answered one after the other, and written again with more columns: nothing is held in memory but
the row at hand."""
