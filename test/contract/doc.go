// SPDX-License-Identifier: AGPL-3.0-or-later

// Package contract holds the running server to the document of its REST API: schemathesis sends requests that the
// document allows and requests that it forbids, and a Python client that is generated from the document makes a job.
package contract
