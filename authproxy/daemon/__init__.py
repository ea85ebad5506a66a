"""The life of the process: settings become a Runtime, a reload replaces it, the end drains it."""
