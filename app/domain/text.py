"""What text may hold, and how it is compared."""


def storable(value: str) -> bool:
    """Whether both databases and every wire can hold it: no NUL (PostgreSQL), no lone surrogate (UTF-8)."""
    return "\x00" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def folded(value: str) -> str:
    """The form in which text is compared without regard to case (Unicode default case folding)."""
    return value.casefold()
