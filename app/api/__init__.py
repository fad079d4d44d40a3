"""The generations served. Adding one is a folder and a word here; so is taking one away."""

from app.api import v1, v2

VERSIONS = (v1.VERSION, v2.VERSION)
