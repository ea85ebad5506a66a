"""HTTP from the client's side: connections (the hot path), refusals, own pages, the ops endpoints."""
