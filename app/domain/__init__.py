"""The core both versions share: what exists, and what is true of it. Knows no HTTP and no version.

Functions come one module a noun. They take a `Connection` first, of `Database.read()` to look and of `.write()` to
change, and plain values; they give plain values, and raise `DomainError`.
"""
