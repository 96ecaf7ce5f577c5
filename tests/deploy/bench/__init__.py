"""The benchmark: its figures, and what it makes of weights. It times nothing here."""
