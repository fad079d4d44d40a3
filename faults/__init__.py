"""What must hold when something breaks: servers and databases are stopped, killed and starved, on loopback only.

`make faults` runs all of it; each test prints the figure it measured, which docs/trust.md publishes.
"""
