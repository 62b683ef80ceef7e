# SPDX-License-Identifier: AGPL-3.0-or-later
"""Keeps schemathesis from what would lock it out of the server that it tries."""

import os

import schemathesis

OWN_TOKEN = os.environ["ADIT_OWN_TOKEN"]  # the number of the token that it uses
OWN_USER = os.environ["ADIT_OWN_USER"]  # the user whose token or session it uses


@schemathesis.hook
def before_call(context, case, kwargs):
    method, path, values = case.method.upper(), case.operation.path, case.path_parameters or {}
    # To revoke its token would end it; another one is revoked instead.
    if method == "DELETE" and path.endswith("/tokens/{id}") and str(values.get("id")) == OWN_TOKEN:
        values["id"] = 4711
    # So would a new password for its user, or disabling it.
    if method != "GET" and values.get("username") == OWN_USER:
        values["username"] = "contract"
