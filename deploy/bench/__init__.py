"""Side by side with peers on the same weights."""
