"""The versions that clients rely on: of a preview nothing was released or recorded yet."""

from app.api import VERSIONS

PROMISED = tuple(version for version in VERSIONS if version.promised)
