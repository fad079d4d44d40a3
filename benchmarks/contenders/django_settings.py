"""Settings of both Django contenders, by the checklist for deployments: no debug, persistent connections, and none of
the middleware that serves browsers (sessions, CSRF, clickjacking), since tokens come with each request.
"""

import os
from urllib.parse import parse_qs, urlsplit

import common

_url = urlsplit(common.DATABASE_URL)

SECRET_KEY = common.SECRET_KEY
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
INSTALLED_APPS = ["tables", "rest_framework"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]  # Content-Length
APPEND_SLASH = False
ROOT_URLCONF = os.environ["ROOT_URLCONF"]  # with_ninja or with_drf
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _url.path.removeprefix("/"),
        "USER": _url.username,
        "HOST": parse_qs(_url.query)["host"][0],
        "CONN_MAX_AGE": None,
    }
}
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser", "rest_framework.parsers.FormParser"],
    "UNAUTHENTICATED_USER": None,
    "EXCEPTION_HANDLER": "with_drf.refused",
}
