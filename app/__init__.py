"""Tandem: one service, two API generations. See ARCHITECTURE.md for the table of rooms."""
