"""A day or a week at the feeder as one page, to send on."""
