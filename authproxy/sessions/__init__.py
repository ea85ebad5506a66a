"""Where browser sessions live: a family with one interface, one file per kind and one contract suite."""
