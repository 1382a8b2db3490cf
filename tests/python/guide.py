"""Judges requests by the Python sample of the partner guide, whose file is the first argument."""

import base64
import importlib.util
import json
import sys

spec = importlib.util.spec_from_file_location("sample", sys.argv[1])
sample = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sample)


def is_genuine(case):
    body = base64.b64decode(case["body_base64"])
    try:
        event_id = sample.verify(case["secret"], case["headers"], body, now=case["now"])
    except ValueError:
        return False
    assert event_id == case["event_id"], event_id
    return True


json.dump([is_genuine(case) for case in json.load(sys.stdin)], sys.stdout)
