"""Pages for people: rendered on the server, without scripts, with nothing from elsewhere."""

from collections.abc import Mapping
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)

_SHARED = {"site": "API", "home": "/versions", "nav": {"Versions": "/versions"}}


class Pages:
    """Templates of the kernel, and those of the packages given, which may extend `base.html`.

    `shared` is what every page may use. `base.html` itself uses `site`, the name over every page; `home`, where it
    leads; and `nav`, what else every page leads to: paths by what they are called.
    """

    def __init__(self, *packages: str, shared: Mapping[str, Any] | None = None) -> None:
        loaders = [PackageLoader(package) for package in (*packages, "app.versioning")]
        self._environment = Environment(
            loader=ChoiceLoader(loaders),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(_SHARED | dict(shared or {}))

    def page(
        self, template: str, status_code: int = 200, headers: Mapping[str, str] | None = None, **values: Any
    ) -> HTMLResponse:
        """The page, which a browser may not make load anything from elsewhere or run a script on."""
        html = self._environment.get_template(template).render(values)
        return HTMLResponse(html, status_code, {"Content-Security-Policy": _POLICY, **(headers or {})})
