"""Pure: tokens, records, routes, header names and the decision. No I/O, no clock, no randomness."""
