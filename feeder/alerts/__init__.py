"""Messages to phones of what happens at the feeder."""
