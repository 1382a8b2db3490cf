"""Every request comes from an address of its own, by the word of a proxy that the platform under test trusts: requests without
a good key are part of the tests, and past twenty of them a minute from one address the gateway looks at no more (429)."""

import itertools

import schemathesis

_numbers = itertools.count(1)


@schemathesis.hook
def before_call(context, case, kwargs):
    number = next(_numbers)
    case.headers["X-Forwarded-For"] = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
