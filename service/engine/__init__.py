"""The decoding engine: jobs in, hypotheses out, one decode loop for all clients."""
