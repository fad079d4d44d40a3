"""The kernel: what holds for every version of an API. Knows no noun and no database.

A version is one `ApiVersion`; `install(app, …)` serves a set of them from one FastAPI application: routes under
`/<name>`, one OpenAPI document and docs page each, and every failure in the version's own form.
"""

from app.versioning.brownouts import Brownout
from app.versioning.install import Installation, Installed, install
from app.versioning.migration import Difference, Migration, OperationMap
from app.versioning.problems import FieldError, Problem, ProblemType
from app.versioning.registry import LifecycleError
from app.versioning.reply import Reply
from app.versioning.version import ApiVersion, ErrorFormat

__all__ = [
    "ApiVersion",
    "Brownout",
    "Difference",
    "ErrorFormat",
    "FieldError",
    "Installation",
    "Installed",
    "LifecycleError",
    "Migration",
    "OperationMap",
    "Problem",
    "ProblemType",
    "Reply",
    "install",
]
