"""Whether a document still keeps what an older one promised.

`load` reads a document, `diff` compares two, `render` writes the result down; `Inclusion` judges two schemas. Nothing
in here knows an API: it works on any two OpenAPI 3.0 or 3.1 documents.
"""

from app.versioning.contract.change import Change, Verdict, compatible
from app.versioning.contract.diff import diff
from app.versioning.contract.gaps import Gap
from app.versioning.contract.load import ContractError, load, normalise
from app.versioning.contract.render import FORMATS, Format, render
from app.versioning.contract.schema import Inclusion

__all__ = [
    "FORMATS",
    "Change",
    "ContractError",
    "Format",
    "Gap",
    "Inclusion",
    "Verdict",
    "compatible",
    "diff",
    "load",
    "normalise",
    "render",
]
