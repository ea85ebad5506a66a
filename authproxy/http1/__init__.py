"""Pure: the strict HTTP/1.1 grammar both ways, head and body framing. No I/O, no clock.

Why by hand and not llhttp: a hundred lines that one can audit, as fast as httptools, and stricter (httptools takes
two spaces in the request line and repeated leading CRLFs, and cannot be stopped between messages). aiohttp's C parser
is the oracle in the tests: whatever is accepted here, it reads with the same meaning.
"""
