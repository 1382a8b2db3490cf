"""Judges requests by the PyPI package `standardwebhooks`: cases on standard input, verdicts on standard output."""

import base64
import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def is_genuine(case):
    try:
        Webhook(case["secret"]).verify(base64.b64decode(case["body_base64"]), case["headers"])
    except WebhookVerificationError:
        return False
    return True


json.dump([is_genuine(case) for case in json.load(sys.stdin)], sys.stdout)
