"""What export writes, service reads; what both hold, they hold alike."""
