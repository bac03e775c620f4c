"""Settings of all tests: no live tracking unless a test asks for it, and no deadlines, since machines are shared."""

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("DVC_NO_ANALYTICS", "1")
os.environ.setdefault("AUXREID_LIVE", "off")

from hypothesis import HealthCheck, settings

settings.register_profile("auxreid", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("auxreid")
