// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"encoding/base64"
	"fmt"
	"strconv"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/people"
)

// routes is the table of the matrix; matrix_test.go tells how to read it and how to add to it.
var routes = []row{
	{route: "GET /healthz", want: every(200), open: 200},
	{route: "GET /readyz", want: every(200), open: 200},
	{route: "GET /about", want: every(200), open: 200},
	{route: "GET /api/v1/openapi.json", want: every(200), open: 200},
	{route: "GET /api/docs", want: every(200), open: 200},
	{route: "GET /api/docs/{file}", want: every(200), open: 200, on: docsFile},

	{route: "GET /dicom-web/{ae_title}/studies", want: every(503), needs: source, hidden: true, on: named("SRC")},
	{route: "GET /dicom-web/{ae_title}/series", want: every(503), needs: source, hidden: true, on: named("SRC"), query: "?PatientID=4711"},
	{route: "GET /dicom-web/{ae_title}/instances", want: every(503), needs: source, hidden: true, on: named("SRC"), query: "?PatientID=4711"},
	{route: "GET /dicom-web/{ae_title}/studies/{study}/series", want: every(503), needs: source, hidden: true, on: below("SRC", "1.2.3")},
	{route: "GET /dicom-web/{ae_title}/studies/{study}/instances", want: every(503), needs: source, hidden: true, on: below("SRC", "1.2.3")},
	{route: "GET /dicom-web/{ae_title}/studies/{study}/series/{series}/instances", want: every(503), needs: source, hidden: true, on: below("SRC", "1.2.3", "1.2.3.4")},
	{route: "GET /api/dicom-web/{ae_title}/qidors/studies", want: every(503), needs: source, hidden: true, on: named("SRC")},
	{route: "GET /api/dicom-web/{ae_title}/qidors/series", want: every(503), needs: source, hidden: true, on: named("SRC"), query: "?PatientID=4711"},
	{route: "GET /api/dicom-web/{ae_title}/qidors/instances", want: every(503), needs: source, hidden: true, on: named("SRC"), query: "?PatientID=4711"},
	{route: "GET /api/dicom-web/{ae_title}/qidors/studies/{study}/series", want: every(503), needs: source, hidden: true, on: below("SRC", "1.2.3")},
	{route: "GET /api/dicom-web/{ae_title}/qidors/studies/{study}/instances", want: every(503), needs: source, hidden: true, on: below("SRC", "1.2.3")},
	{route: "GET /api/dicom-web/{ae_title}/qidors/studies/{study}/series/{series}/instances", want: every(503), needs: source, hidden: true, on: below("SRC", "1.2.3", "1.2.3.4")},
	{route: "GET /dicom-web/{ae_title}/studies/{study}", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3")},
	{route: "GET /dicom-web/{ae_title}/studies/{study}/metadata", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3")},
	{route: "GET /dicom-web/{ae_title}/studies/{study}/series/{series}", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4")},
	{route: "GET /dicom-web/{ae_title}/studies/{study}/series/{series}/metadata", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4")},
	{route: "GET /dicom-web/{ae_title}/studies/{study}/series/{series}/instances/{instance}", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4", "1.2.3.4.5")},
	{route: "GET /dicom-web/{ae_title}/studies/{study}/series/{series}/instances/{instance}/metadata", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4", "1.2.3.4.5")},
	{route: "GET /dicom-web/{ae_title}/studies/{study}/series/{series}/instances/{instance}/frames/{frames}", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4", "1.2.3.4.5", "1")},
	{route: "GET /dicom-web/{ae_title}/studies/{study}/series/{series}/instances/{instance}/bulkdata/{path}", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4", "1.2.3.4.5", "7FE00010")},
	{route: "GET /dicom-web/{ae_title}/studies/{study}/bulkdata/{name}", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "nonsense")},
	{route: "GET /api/dicom-web/{ae_title}/wadors/studies/{study}/bulkdata/{name}", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "nonsense")},
	{route: "GET /api/dicom-web/{ae_title}/wadors/studies/{study}", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3")},
	{route: "GET /api/dicom-web/{ae_title}/wadors/studies/{study}/metadata", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3")},
	{route: "GET /api/dicom-web/{ae_title}/wadors/studies/{study}/nifti", want: every(501), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3")},
	{route: "GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4")},
	{route: "GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/metadata", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4")},
	{route: "GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/nifti", want: every(501), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4")},
	{route: "GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/instances/{instance}", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4", "1.2.3.4.5")},
	{route: "GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/instances/{instance}/metadata", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4", "1.2.3.4.5")},
	{route: "GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/instances/{instance}/nifti", want: every(501), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4", "1.2.3.4.5")},
	{route: "GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/instances/{instance}/frames/{frames}", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4", "1.2.3.4.5", "1")},
	{route: "GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/instances/{instance}/bulkdata/{path}", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4", "1.2.3.4.5", "7FE00010")},

	{route: "POST /dicom-web/{ae_title}/studies", want: every(409), needs: destination, hidden: true, on: named("DST"), header: storing, body: storeBody("no object")},
	{route: "POST /dicom-web/{ae_title}/studies/{study}", want: every(409), needs: destination, hidden: true, on: below("DST", "1.2.3"), header: storing, body: storeBody("no object")},
	{route: "POST /api/dicom-web/{ae_title}/stowrs/studies", want: every(200), needs: destination, hidden: true, on: named("DST"), header: storing, body: storeBody(withoutPatient(storedStudy.Instances()[0]))},
	{route: "POST /api/dicom-web/{ae_title}/stowrs/studies/{study}", want: every(200), needs: destination, hidden: true, on: below("DST", storedStudy.StudyInstanceUID), header: storing, body: storeBody(withoutPatient(storedStudy.Instances()[0]))},

	{route: "GET /dicom-web/{ae_title}/studies/{study}/rendered", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3")},
	{route: "GET /dicom-web/{ae_title}/studies/{study}/thumbnail", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3")},
	{route: "GET /dicom-web/{ae_title}/studies/{study}/series/{series}/rendered", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4")},
	{route: "GET /dicom-web/{ae_title}/studies/{study}/series/{series}/thumbnail", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4")},
	{route: "GET /dicom-web/{ae_title}/studies/{study}/series/{series}/instances/{instance}/rendered", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4", "1.2.3.4.5")},
	{route: "GET /dicom-web/{ae_title}/studies/{study}/series/{series}/instances/{instance}/thumbnail", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4", "1.2.3.4.5")},
	{route: "GET /dicom-web/{ae_title}/studies/{study}/series/{series}/instances/{instance}/frames/{frames}/rendered", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4", "1.2.3.4.5", "1")},
	{route: "GET /dicom-web/{ae_title}/studies/{study}/series/{series}/instances/{instance}/frames/{frames}/thumbnail", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4", "1.2.3.4.5", "1")},
	{route: "GET /api/dicom-web/{ae_title}/wadors/studies/{study}/rendered", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3")},
	{route: "GET /api/dicom-web/{ae_title}/wadors/studies/{study}/thumbnail", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3")},
	{route: "GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/rendered", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4")},
	{route: "GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/thumbnail", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4")},
	{route: "GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/instances/{instance}/rendered", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4", "1.2.3.4.5")},
	{route: "GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/instances/{instance}/thumbnail", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4", "1.2.3.4.5")},
	{route: "GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/instances/{instance}/frames/{frames}/rendered", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4", "1.2.3.4.5", "1")},
	{route: "GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/instances/{instance}/frames/{frames}/thumbnail", want: every(503), needs: source, hidden: true, takes: identities, on: below("SRC", "1.2.3", "1.2.3.4", "1.2.3.4.5", "1")},
	{route: "GET /api/v1/live", want: every(426)}, // TestLive has what comes after the upgrade
	{route: "GET /api/v1/me", want: every(200)},
	{route: "PATCH /api/v1/me", want: every(200), body: `{"phone":"4711"}`},
	{route: "PUT /api/v1/me/password", costly: true, want: every(204), on: passwords, body: `{"current":"` + password + `","password":"another long secret","keep_tokens":true}`},

	{route: "POST /api/v1/session", costly: true, want: every(200), open: 200, on: newUser, body: `{"username":"{1}","password":"` + password + `"}`},
	{route: "GET /api/v1/session", want: every(200)},
	{route: "DELETE /api/v1/session", want: every(409)}, // who uses a token has none
	{route: "POST /api/v1/session:confirm", want: every(409), body: `{"password":"` + password + `"}`},
	{route: "POST /api/v1/password-resets", want: every(202), open: 202, on: newUser, body: `{"account":"{1}"}`},
	{route: "POST /api/v1/password-resets:use", costly: true, want: every(204), open: 204, on: newReset, body: `{"code":"{1}","password":"another long secret"}`},

	{route: "GET /api/v1/tokens", want: every(200)},
	{route: "POST /api/v1/tokens", want: every(201), body: `{"lifetime":"24h"}`},
	{route: "GET /api/v1/tokens/{id}", want: owned(200), on: newToken},
	{route: "DELETE /api/v1/tokens/{id}", want: owned(204), on: newToken},

	{route: "GET /api/v1/users", want: ofStaff(200)},
	{route: "POST /api/v1/users", want: ofStaff(201), body: `{"username":"made{n}"}`},
	{route: "GET /api/v1/users/{username}", want: ofStaff(200), on: newUser},
	{route: "PATCH /api/v1/users/{username}", want: ofStaff(200), on: newUser, body: `{"is_active":false}`},
	{route: "DELETE /api/v1/users/{username}", want: ofStaff(204), on: newUser},
	{route: "PUT /api/v1/users/{username}/password", costly: true, want: ofStaff(204), on: newUser, body: `{"password":"another long secret"}`},

	{route: "GET /api/v1/api-use", want: ofStaff(200)},

	{route: "GET /api/v1/groups", want: ofStaff(200)},
	{route: "POST /api/v1/groups", want: ofStaff(201), body: `{"name":"made{n}"}`},
	{route: "GET /api/v1/groups/{group}", want: ofStaff(200), on: newGroup},
	{route: "PATCH /api/v1/groups/{group}", want: ofStaff(200), on: newGroup, body: `{"permissions":["explorer"]}`},
	{route: "DELETE /api/v1/groups/{group}", want: ofStaff(204), on: newGroup},
	{route: "GET /api/v1/groups/{group}/members", want: ofStaff(200), on: newGroup},
	{route: "PUT /api/v1/groups/{group}/members/{username}", want: ofStaff(204), on: newMember},
	{route: "DELETE /api/v1/groups/{group}/members/{username}", want: ofStaff(204), on: newMember},
	{route: "GET /api/v1/access", want: ofStaff(200)},
	{route: "GET /api/v1/access/{group}/{node}", want: ofStaff(200), on: newAccess},
	{route: "PUT /api/v1/access", want: ofStaff(200), on: newGroup, body: `{"group":"{1}","node":"SRC","source":true,"destination":false}`},

	{route: "POST /api/v1/registrations", want: every(202), open: 202, body: `{"username":"wish{n}","mail":"wish{n}@example.org"}`},
	{route: "GET /api/v1/registrations", want: ofStaff(200)},
	{route: "GET /api/v1/registrations/{id}", want: ofStaff(200), on: newRegistration},
	{route: "POST /api/v1/registrations/{id}:approve", want: ofStaff(200), on: newRegistration, body: `{}`},
	{route: "POST /api/v1/registrations/{id}:refuse", want: ofStaff(204), on: newRegistration, body: `{}`},

	{route: "GET /api/v1/nodes", want: every(200)},
	{route: "GET /api/v1/nodes/{name}", want: every(200), on: named("SRC")},
	{route: "DELETE /api/v1/nodes/{name}", want: ofStaff(204), on: newServer},
	{route: "POST /api/v1/nodes/{name}:check", want: ofStaff(200), on: named("SRC")},
	{route: "GET /api/v1/servers", want: ofStaff(200)},
	{route: "POST /api/v1/servers", want: ofStaff(201), body: `{"name":"S{n}","ae_title":"S{n}","host":"h","port":104,"supports":{"store":true}}`},
	{route: "GET /api/v1/servers/{name}", want: ofStaff(200), on: newServer},
	{route: "DELETE /api/v1/servers/{name}", want: ofStaff(204), on: newServer},
	{route: "PATCH /api/v1/servers/{name}", want: ofStaff(200), on: newServer, body: `{"port":4242}`},
	{route: "POST /api/v1/servers/{name}:pause", want: ofStaff(200), on: newServer},
	{route: "POST /api/v1/servers/{name}:continue", want: ofStaff(200), on: pausedServer},
	{route: "POST /api/v1/servers:check", want: ofStaff(200), body: `{"name":"new","ae_title":"NEW","host":"127.0.0.1","port":1,"supports":{}}`},
	{route: "POST /api/v1/servers/{name}/schedule:preview", want: ofStaff(200), on: named("SRC"), body: `{"default":{"batch":2,"interactive":2}}`},
	{route: "GET /api/v1/servers/{name}/use", want: ofStaff(200), on: newServer},
	{route: "GET /api/v1/servers:now", want: every(200)},
	{route: "GET /api/v1/servers/{name}/schedule", want: every(200), on: named("SRC")},
	{route: "PUT /api/v1/servers/{name}/schedule", want: ofStaff(200), on: newServer, body: `{"default":{"batch":2,"interactive":2}}`},
	// nothing listens there
	{route: "POST /api/v1/servers/{name}/studies:search", want: every(503), needs: source, on: named("SRC"), body: `{"patient_id":"4711"}`},
	{route: "POST /api/v1/servers/{name}/series:search", want: every(503), needs: source, on: named("SRC"), body: `{"study_instance_uid":"1.2.3"}`},
	{route: "POST /api/v1/servers/{name}/instances:search", want: every(503), needs: source, on: named("SRC"), body: `{"study_instance_uid":"1.2.3","series_instance_uid":"1.2.3.4"}`},
	{route: "GET /api/v1/servers/{name}/studies/{study}/download", want: every(503), needs: source, takes: takenAway, on: below("SRC", "1.2.3")},
	{route: "GET /api/v1/folders", want: ofStaff(200)},
	{route: "POST /api/v1/folders", want: ofStaff(201), body: `{"name":"F{n}","path":"{1}"}`, on: newDirectory},
	{route: "GET /api/v1/folders/{name}", want: ofStaff(200), on: newFolder},
	{route: "DELETE /api/v1/folders/{name}", want: ofStaff(204), on: newFolder},
	{route: "PATCH /api/v1/folders/{name}", want: ofStaff(200), on: newFolder, body: `{"quota_gb":{n}}`},
	{route: "GET /api/v1/workers/{member}/schedule", want: ofStaff(200), on: newWorkers},
	{route: "PUT /api/v1/workers/{member}/schedule", want: ofStaff(200), on: named("machine"), body: `{"default":3}`},
	{route: "DELETE /api/v1/workers/{member}/schedule", want: ofStaff(204), on: newWorkers},
	{route: "GET /api/v1/cluster/members", want: ofStaff(200)},
	{route: "PATCH /api/v1/cluster/members/{member}", want: ofStaff(200), on: newClusterMember, body: `{"roles":["web"]}`},
	{route: "POST /api/v1/cluster/members/{member}:drain", want: ofStaff(200), on: newClusterMember},
	{route: "POST /api/v1/cluster/members/{member}:resume", want: ofStaff(200), on: drainedMember},

	{route: "GET /api/v1/jobs", want: every(200)},
	{route: "GET /api/v1/jobs:count", want: every(200)},
	{route: "POST /api/v1/jobs", want: every(201), needs: both, body: `{"kind":"selective_transfer","source":"SRC","destination":"DST","studies":[{"study_instance_uid":"1.2.3"}]}`},
	{route: "POST /api/v1/batch:check", want: every(200), body: `{"kind":"batch_query","file":"` + queryFile + `"}`},
	{route: "POST /api/v1/batch:remarks", want: every(200), body: `{"kind":"batch_query","file":"` + queryFile + `"}`},
	{route: "GET /api/v1/batch-samples/{kind}", want: every(200), on: named("batch_query")},
	{route: "POST /api/v1/batch-queries", want: every(201), needs: source, body: `{"sources":["SRC"],"file":"` + queryFile + `"}`},
	{route: "POST /api/v1/batch-transfers", want: every(201), needs: both, body: `{"source":"SRC","destination":"DST","file":"` + transferFile + `"}`},
	{route: "POST /api/v1/mass-transfers", want: every(201), needs: both, body: `{"source":"SRC","destination":"DST","start_date":"2024-01-01","end_date":"2024-01-02","filters":[{"modality":"CT"}]}`},
	{route: "GET /api/v1/recurrences", want: every(200)},
	{route: "POST /api/v1/recurrences", want: every(201), needs: source, takes: new(people.SectionRight(people.BatchQuery)), body: `{"at":"02:00","query":{"sources":["SRC"],"file":"` + queryFile + `"}}`},
	{route: "GET /api/v1/recurrences/{id}", want: owned(200), on: newRecurrence},
	{route: "PATCH /api/v1/recurrences/{id}", want: owned(200), on: newRecurrence, body: `{"paused":true}`},
	{route: "DELETE /api/v1/recurrences/{id}", want: owned(204), on: newRecurrence},
	{route: "POST /api/v1/recurrences/{id}:run", want: owned(422), on: newRecurrence}, // of what it names there is nothing
	{route: "POST /api/v1/mass-filters:read", want: every(200), body: `{"file":"` + inBase64("modality\nCT\n") + `"}`},
	{route: "GET /api/v1/jobs/{id}/mass", want: owned(200), on: newMass(false)},
	{route: "GET /api/v1/jobs/{id}/partitions", want: owned(200), on: newMass(false)},
	{route: "GET /api/v1/jobs/{id}/volumes", want: owned(200), on: newMass(false)},
	{route: "GET /api/v1/jobs/{id}/volumes:export", want: owned(200), on: newMass(false)},
	{route: "POST /api/v1/jobs/{id}:begin", want: owned(200), on: newMass(true)},
	{route: "GET /api/v1/jobs/{id}/results", want: owned(200), on: newBatchQuery},
	{route: "GET /api/v1/jobs/{id}/results:count", want: owned(200), on: newBatchQuery},
	{route: "GET /api/v1/jobs/{id}/results:export", want: owned(200), on: newBatchQuery},
	{route: "GET /api/v1/jobs/{id}/failed-rows", want: owned(200), on: newBatchQuery},
	{route: "GET /api/v1/jobs/{id}", want: owned(200), on: newJob("pending")},
	{route: "PATCH /api/v1/jobs/{id}", want: owned(200), on: newJob("pending"), body: `{"urgent":true}`},
	{route: "DELETE /api/v1/jobs/{id}", want: owned(204), on: newJob("pending")},
	{route: "GET /api/v1/jobs/{id}/deidentification", want: owned(200), on: newJob("success")},
	{route: "GET /api/v1/jobs/{id}/deidentification:export", want: owned(200), on: newJob("success")},
	{route: "GET /api/v1/jobs/{id}/failed-studies", want: owned(200), on: newJob("failure")},
	{route: "GET /api/v1/jobs/{id}/failures", want: owned(200), on: newJob("failure")},
	{route: "GET /api/v1/jobs/{id}/manifest", want: owned(409), on: newJob("success")}, // the job keeps none
	{route: "GET /api/v1/jobs/{id}/tasks", want: owned(200), on: newJob("pending")},
	{route: "POST /api/v1/jobs/{id}:verify", want: ofStaff(200), on: newJob("unverified")},
	{route: "POST /api/v1/jobs/{id}:cancel", want: owned(200), on: newJob("pending")},
	{route: "POST /api/v1/jobs/{id}:resume", want: owned(200), on: newJob("canceled")},
	{route: "POST /api/v1/jobs/{id}:retry", want: owned(200), on: newJob("failure")},
	{route: "POST /api/v1/jobs/{id}:restart", want: ofStaff(200), on: newJob("success")},
	{route: "POST /api/v1/jobs/{id}:pause", want: owned(200), on: newJob("pending")},
	{route: "POST /api/v1/jobs/{id}:continue", want: owned(200), on: newJob("paused")},
	{route: "GET /api/v1/tasks/{id}", want: owned(200), on: newTask("pending")},
	{route: "DELETE /api/v1/tasks/{id}", want: owned(204), on: newTask("pending")},
	{route: "GET /api/v1/tasks/{id}/deidentification", want: owned(200), on: newDeidentified},
	{route: "GET /api/v1/tasks/{id}/log", want: ofStaff(200), on: newTask("success")},
	{route: "POST /api/v1/tasks/{id}:reset", want: owned(200), on: newTask("failure")},
	{route: "POST /api/v1/tasks/{id}:kill", want: ofStaff(200), on: newTask("in_progress")},

	{route: "GET /api/v1/projects", want: every(200)},
	{route: "POST /api/v1/projects", want: ofStaff(201), body: `{"name":"P{n}"}`},
	{route: "GET /api/v1/projects/{name}", want: owned(200), on: newProject},
	{route: "PATCH /api/v1/projects/{name}", want: ofStaff(200), on: newProject, body: `{"description":"x"}`},
	{route: "DELETE /api/v1/projects/{name}", want: ofStaff(204), on: newProject},
	// Not even a superuser sees who is behind the pseudonyms of a project that they don't belong to.
	{route: "POST /api/v1/projects/{name}/linkage:search", want: answers{200, 404, 403, 403}, on: newProject, body: `{}`},
	{route: "GET /api/v1/projects/{name}/linkage:export", want: answers{200, 404, 403, 403}, on: newProject},
	{route: "POST /api/v1/projects/{name}/linkage:import", want: answers{200, 404, 403, 403}, on: newProject, header: inCSV, body: "Pseudonym,PatientID\nP{n},QIDX\n"},
	{route: "GET /api/v1/profiles", want: every(200)},
	{route: "GET /api/v1/profiles/{name}", want: every(200), on: named("adit")},
	{route: "POST /api/v1/profiles", want: ofStaff(201), header: []string{"Content-Type", "application/yaml"}, body: "name: p{n}\nversion: \"1\"\nbase: adit\n"},

	{route: "POST /api/v1/audit:search", want: ofStaff(200), body: `{}`},

	{route: "GET /api/v1/settings", want: ofStaff(200)},
	{route: "PATCH /api/v1/settings", want: ofStaff(200), body: `{"keep_mails":{n}}`},
	{route: "GET /api/v1/announcement", want: every(200)},
	{route: "PUT /api/v1/announcement", want: ofStaff(200), body: `{"text":"Tonight at 20:00 ADIT is not there."}`},
	{route: "DELETE /api/v1/announcement", want: ofStaff(204), on: announcement},
	{route: "GET /api/v1/mails", want: ofStaff(200)},
	{route: "GET /api/v1/mails/{id}", want: ofStaff(200), on: newGivenUp},
	{route: "POST /api/v1/mails", want: ofStaff(202), body: `{"subject":"Tonight","text":"At 20:00 ADIT is not there."}`},
	{route: "POST /api/v1/mails/{id}:retry", want: ofStaff(200), on: newGivenUp},
	{route: "GET /api/v1/stats", want: every(200)},
	{route: "GET /api/v1/housekeeping", want: ofStaff(200)},
}

var inCSV = []string{"Content-Type", "text/csv"}

// named is for objects that everybody shares.
func named(name string) func(*matrix, person) []string {
	return func(*matrix, person) []string { return []string{name} }
}

// below names a server, and what is asked for below it.
func below(server string, uids ...string) func(*matrix, person) []string {
	return func(*matrix, person) []string { return append([]string{server}, uids...) }
}

func newAccess(m *matrix, owner person) []string {
	m.t.Helper()
	made := newGroup(m, owner)
	m.exec(`INSERT INTO node_access (group_id, dicom_node_id, is_source) SELECT id, $2, true FROM groups WHERE name = $1`, made[0], m.src)
	return []string{made[0], "SRC"}
}

func newServer(m *matrix, _ person) []string {
	m.t.Helper()
	name := fmt.Sprintf("N%d", m.number())
	m.addServer(name, name, nil)
	return []string{name}
}

func pausedServer(m *matrix, owner person) []string {
	m.t.Helper()
	made := newServer(m, owner)
	_, err := m.client.Servers.Pause(m.t.Context(), made[0])
	require.NoError(m.t, err)
	return made
}

func newDirectory(m *matrix, _ person) []string { return []string{m.t.TempDir()} }

func newWorkers(m *matrix, _ person) []string {
	m.t.Helper()
	name := fmt.Sprintf("M%d", m.number())
	_, err := m.client.Workers.Set(m.t.Context(), name, client.WorkerSchedule{Default: 2})
	require.NoError(m.t, err)
	return []string{name}
}

func newClusterMember(m *matrix, _ person) []string {
	m.t.Helper()
	name := fmt.Sprintf("M%d", m.number())
	m.exec(`INSERT INTO members (id, data_dir_id, name, version, schema_min, schema_max) VALUES (gen_random_uuid(), gen_random_uuid(), $1, '', 0, 0)`, name)
	return []string{name}
}

func drainedMember(m *matrix, owner person) []string {
	m.t.Helper()
	made := newClusterMember(m, owner)
	_, err := m.client.Cluster.Drain(m.t.Context(), made[0])
	require.NoError(m.t, err)
	return made
}

// states of a job's two tasks, and of the job besides.
var states = map[string]struct {
	task, counter, besides string
}{
	"unverified":  {"pending", "n_pending", "verified = false"},
	"pending":     {"pending", "n_pending", "verified = true"},
	"paused":      {"pending", "n_pending", "paused = true"},
	"in_progress": {"in_progress", "n_running", "started = true"},
	"canceled":    {"canceled", "n_canceled", "canceled = true"},
	"success":     {"success", "n_success", "started = true"},
	"failure":     {"failure", "n_failure", "started = true"},
}

// makeJob makes a job with two tasks and gives the numbers of the job and of the first task.
func (m *matrix) makeJob(state string, owner person) (job, task int64) {
	m.t.Helper()
	s := states[state]
	job = m.one(`INSERT INTO jobs (kind, owner_id, project_id, source_id, destination_id, priority, `+s.counter+`)
		SELECT 'selective_transfer', u.id, p.id, $2, $3, 3, 2 FROM users u JOIN projects p ON p.group_id = u.active_group_id WHERE u.id = $1 LIMIT 1 RETURNING id`,
		owner.id, m.src, m.dst)
	m.exec(`UPDATE jobs SET `+s.besides+` WHERE id = $1`, job)
	task = m.one(`INSERT INTO tasks (job_id, seq, status, study_instance_uid, lease_member, lease_token)
		SELECT $1::bigint, n, $2::text, '1.2.3', CASE WHEN $2 = 'in_progress' THEN gen_random_uuid() END, CASE WHEN $2 = 'in_progress' THEN 1 END
		FROM generate_series(1, 2) n RETURNING id`, job, s.task)
	return job, task
}

func newJob(state string) func(*matrix, person) []string {
	return func(m *matrix, owner person) []string {
		job, _ := m.makeJob(state, owner)
		return []string{strconv.FormatInt(job, 10)}
	}
}

// Files of rows in base64: a CT of a patient, and a study under a pseudonym.
var (
	queryFile    = inBase64("PatientID,Modality\nPHANTOM-001,CT\n")
	transferFile = inBase64("PatientID,StudyInstanceUID,Pseudonym\nPHANTOM-001,1.2.3,SUBJ-1\n")
)

func inBase64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// newBatchQuery makes a batch query with a row that found a study, and one that failed.
func newBatchQuery(m *matrix, owner person) []string {
	m.t.Helper()
	job, task := m.makeJob("success", owner)
	m.exec(`UPDATE jobs SET kind = 'batch_query', destination_id = NULL, n_success = 1, n_failure = 1 WHERE id = $1`, job)
	m.exec(`UPDATE tasks SET study_instance_uid = '', rows = ARRAY[seq + 1] WHERE job_id = $1`, job)
	m.exec(`UPDATE tasks SET status = 'failure', message = 'x' WHERE job_id = $1 AND seq = 2`, job)
	m.asked(job)
	m.addResult(job, task, "1.2.3")
	return []string{strconv.FormatInt(job, 10)}
}

// newMass makes a mass transfer that has ended, and found a series; a dry run, if it is to be one.
func newMass(dryRun bool) func(*matrix, person) []string {
	return func(m *matrix, owner person) []string {
		m.t.Helper()
		job, task := m.makeJob("success", owner)
		m.exec(`UPDATE jobs SET kind = 'mass_transfer', pseudonymize = true WHERE id = $1`, job)
		m.exec(`UPDATE tasks SET study_instance_uid = '' WHERE job_id = $1`, job)
		m.exec(`INSERT INTO mass_transfers (job_id, first_day, last_day, weekly, filters, dry_run) VALUES ($1, '20240101', '20240101', false, '[{"mode":"include"}]', $2)`, job, dryRun)
		m.addVolume(job, task, "1.2.3")
		return []string{strconv.FormatInt(job, 10)}
	}
}

// newRecurrence makes a recurrence that nobody can run: it names a server that there isn't.
func newRecurrence(m *matrix, owner person) []string {
	m.t.Helper()
	id := m.one(`INSERT INTO recurrences (owner_id, kind, title, settings, weekdays, at_minute, next_at)
		SELECT id, 'batch_query', '', '{"query":{"Sources":["NOWHERE"],"Project":"","Rows":[{"row":2,"patient_id":"1","modalities":["CT"]}]}}', '{}', 120, now() + interval '1 day'
		FROM users WHERE username = $1 RETURNING id`, owner.name)
	return []string{strconv.FormatInt(id, 10)}
}

// addVolume adds a partition with a series that was found, and that nothing transfers yet.
func (m *matrix) addVolume(job, task int64, series string) {
	m.t.Helper()
	m.exec(`INSERT INTO partitions (task_id, first_day, last_day) VALUES ($1, '20240101', '20240101') ON CONFLICT DO NOTHING`, task)
	m.exec(`INSERT INTO volumes (job_id, partition_id, patient_id, accession_number, study_instance_uid, study_date, study_time, study_description,
			series_instance_uid, modality, series_description, institution_name, instances)
		VALUES ($1, $2, 'P', '', '1.2', '20240101', '', '', $3, 'CT', '', '', 1)`, job, task, series)
}

// asked adds what the tasks of a batch query ask.
func (m *matrix) asked(job int64) {
	m.t.Helper()
	m.exec(`INSERT INTO queries (task_id, patient_id, patient_name, patient_birth_date, accession_number, study_date_from, study_date_to,
			modalities, study_description, series_description, series_numbers, extra)
		SELECT id, 'P', '', '', '', '', '', '{CT}', '', '', '{}', '{}' FROM tasks WHERE job_id = $1`, job)
}

// addResult adds a study that a task of a batch query found.
func (m *matrix) addResult(job, task int64, study string) {
	m.t.Helper()
	m.exec(`INSERT INTO query_results (job_id, task_id, patient_id, patient_name, patient_birth_date, accession_number, study_instance_uid,
			study_date, study_time, study_description, modalities, series_instance_uid, series_description, instances)
		VALUES ($1, $2, 'P', '', '', '', $3, '', '', '', '{CT}', '', '', 1)`, job, task, study)
}

func newTask(state string) func(*matrix, person) []string {
	return func(m *matrix, owner person) []string {
		_, task := m.makeJob(state, owner)
		return []string{strconv.FormatInt(task, 10)}
	}
}

func newDeidentified(m *matrix, owner person) []string {
	_, task := m.makeJob("success", owner)
	m.exec(`INSERT INTO task_deid (task_id, study_uid) VALUES ($1, '1.2.3')`, task)
	return []string{strconv.FormatInt(task, 10)}
}

// newProject makes a project of the owner's group.
func newProject(m *matrix, owner person) []string {
	m.t.Helper()
	name := fmt.Sprintf("project%d", m.number())
	m.exec(
		`INSERT INTO projects (name, group_id, sealed_key) SELECT $1, g.id, p.sealed_key FROM groups g, projects p WHERE g.name = $2 LIMIT 1`,
		name, owner.group,
	)
	return []string{name}
}

func newFolder(m *matrix, _ person) []string {
	m.t.Helper()
	name := fmt.Sprintf("folder%d", m.number())
	_, err := m.client.Folders.Add(m.t.Context(), client.FolderSettings{Name: name, Path: m.t.TempDir()})
	require.NoError(m.t, err)
	return []string{name}
}

func announcement(m *matrix, _ person) []string {
	_, err := m.client.Site.Announce(m.t.Context(), "Tonight")
	require.NoError(m.t, err)
	return nil
}

func newGivenUp(m *matrix, _ person) []string {
	id := m.one(`INSERT INTO outbox (recipient, subject, body, status, ended_at) VALUES ('somebody@example.org', 'x', 'x', 'given_up', now()) RETURNING id`)
	return []string{strconv.FormatInt(id, 10)}
}

func docsFile(*matrix, person) []string { return []string{"page.js"} }

// takenAway is what a download takes where nothing is de-identified.
var takenAway = &people.Action{Permissions: []string{people.DirectDownload, people.TransferUnpseudonymized}}

// identities is what retrieving by DICOMweb takes where nothing is de-identified.
var identities = &people.Action{Permissions: []string{people.DICOMwebRetrieve, people.TransferUnpseudonymized}}
