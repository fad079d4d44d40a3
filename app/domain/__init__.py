"""The core both versions share: what exists, and what is true of it. Knows no HTTP and no version.

Functions come one module a noun. Those that look take a `Connection` first, those that change a `Session`; they take
plain values, give plain values, and raise `DomainError`.
"""
