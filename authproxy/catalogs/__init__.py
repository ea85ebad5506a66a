"""Where token records come from: a family with one interface, one file per kind and one contract suite."""
