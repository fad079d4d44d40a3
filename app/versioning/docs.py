"""The docs page of a version: Swagger UI, with every asset from this server."""

import hashlib
import re
from base64 import b64encode
from datetime import UTC, datetime
from html import escape
from importlib.resources import files

from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from app.versioning.lifecycle import guide_path
from app.versioning.version import ApiVersion

ASSETS_PATH = "/docs-assets"


def assets() -> StaticFiles:
    """Swagger UI's own files, as the fastapi-offline package ships them."""
    return StaticFiles(directory=str(files("fastapi_offline") / "static"))


def docs_page(version: ApiVersion) -> HTMLResponse:
    """The page, which a browser may not make load anything from elsewhere."""
    page = get_swagger_ui_html(
        openapi_url=f"{version.prefix}/openapi.json",
        title=f"{version.title} {version.name}",
        swagger_js_url=f"{ASSETS_PATH}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS_PATH}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS_PATH}/favicon.png",
    )
    html = bytes(page.body).decode()
    if version.deprecated is not None:
        page = HTMLResponse(html.replace("<body>", f"<body>\n{_banner(version)}", 1))
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    hashes = " ".join(f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts)
    page.headers["Content-Security-Policy"] = (
        f"default-src 'self'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; frame-ancestors 'none'"
    )
    return page


def _banner(version: ApiVersion) -> str:
    """What a reader of a deprecated version's page must know first. Dates are days in UTC."""
    assert version.deprecated is not None
    phase = version.phase(datetime.now(UTC))
    verb = "will be deprecated on" if phase == "current" else "is deprecated since"
    said = f"{version.name} {verb} {version.deprecated.astimezone(UTC):%Y-%m-%d}."
    if version.sunset is not None:
        said += f" It {'ended' if phase == 'retired' else 'ends'} on {version.sunset.astimezone(UTC):%Y-%m-%d}."
    guide = f' <a href="{guide_path(version)}">How to move to {escape(version.successor or "")}</a>'
    style = "margin:0;padding:.75rem 1.25rem;background:#7a2e00;color:#fff;font:1rem/1.4 system-ui,sans-serif"
    link = guide.replace("<a ", '<a style="color:#fff" ') if version.migration else ""
    return f'<p role="note" style="{style}">{escape(said)}{link}</p>'
