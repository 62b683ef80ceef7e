# SPDX-License-Identifier: AGPL-3.0-or-later
"""Retrieves through what cuts each answer somewhere, and wants to be told each time."""

import hashlib
import urllib.request

import requests
from checks import check, told
from dicomweb_client import DICOMwebClient

header = {"Authorization": f"Token {told['token']}"}
more = told["more"]


def attempts(read):
    """Reads so often that each cut was met. What comes whole is counted, and has to be whole."""
    whole = 0
    for _ in range(more["times"]):
        try:
            got = read()
        except Exception:
            continue
        assert got == more["want"], f"a part was taken for the whole: {got}"
        whole += 1
    assert whole < more["times"], "nothing was cut"


def with_requests():
    def read():
        answer = requests.get(more["at"], headers={**header, "Connection": "close"}, timeout=60)
        return sum_of(answer)

    attempts(read)


def sum_of(answer):
    answer.raise_for_status()
    return hashlib.sha256(normal(answer.content, answer.headers["Content-Type"])).hexdigest()


def normal(body, content_type):
    """The boundary is another one each time."""
    return body.replace(content_type.split("boundary=")[1].strip('"').encode(), b"-")


def with_urllib():
    def read():
        request = urllib.request.Request(more["at"], headers=header)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return hashlib.sha256(normal(answer.read(), answer.headers["Content-Type"])).hexdigest()

    attempts(read)


def with_dicomweb_client():
    base, _, rest = more["at"].partition("/studies/")
    study, _, series = rest.partition("/series/")
    client = DICOMwebClient(base, headers={**header, "Connection": "close"})
    client.set_http_retry_params(retry=False)
    whole = 0
    for n in range(more["times"]):
        try:
            found = list((client.iter_series if n % 2 else client.retrieve_series)(study, series))
        except Exception:
            continue
        assert len(found) == more["count"], f"{len(found)} of {more['count']} instances were taken for all"
        whole += 1
    assert whole < more["times"], "nothing was cut"


check(with_requests, with_urllib, with_dicomweb_client)
