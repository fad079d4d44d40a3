"""What every page of the portal is made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from app.adoption.plan import Watch
from app.api.services import Services
from app.versioning import ApiVersion, lifecycle
from app.versioning.brownouts import Schedule
from app.versioning.discovery import CATALOG_PATH
from app.versioning.pages import Pages
from app.versioning.times import spelled


@dataclass(frozen=True)
class Portal:
    """The parts of the running service that pages show and change. Built by `create_app`, read by the routes."""

    services: Services
    versions: Sequence[ApiVersion]
    schedule: Schedule
    watch: Watch
    pages: Pages
    production: bool
    docs_enabled: bool


def make_pages(*, docs_enabled: bool) -> Pages:
    """The service's pages, the portal's and the kernel's, which all lead to each other where they are served."""
    shared = {"site": "Tandem", "guide_path": lifecycle.guide_path, "catalog_path": CATALOG_PATH, "spelled": spelled}
    if not docs_enabled:
        return Pages("app.portal", shared=shared)
    nav = {"How versions end": "/policy", "Adoption": "/portal/adoption"}
    return Pages("app.portal", shared={**shared, "home": "/", "nav": nav})


async def get_portal(request: Request) -> Portal:
    portal: Portal = request.app.state.portal
    return portal


Here = Annotated[Portal, Depends(get_portal)]
