"""What gunicorn serves of both Django contenders; ROOT_URLCONF says which."""

import os

from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "django_settings"
application = get_wsgi_application()
