"""Load on a running service: users who wait and who come by chance, until it is full and past."""
