// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import "strconv"

func init() {
	routes = append(routes,
		row{route: "GET /api/v1/unsolicited-instances", want: ofStaff(200)},
		row{route: "GET /api/v1/rejected-callers", want: ofStaff(200)},
		row{route: "GET /api/v1/receiver", want: ofStaff(200)},
		row{route: "GET /api/v1/quarantine", want: ofStaff(200)},
		row{route: "GET /api/v1/quarantine/{id}", want: ofStaff(200), on: newQuarantined},
		row{route: "DELETE /api/v1/quarantine/{id}", want: ofStaff(204), on: newQuarantined},
		// Its file is at another member.
		row{route: "POST /api/v1/quarantine/{id}:release", want: ofStaff(409), needs: destination, on: newQuarantined, body: `{"destination":"DST"}`},
	)
}

func newQuarantined(m *matrix, _ person) []string {
	id := m.one(`INSERT INTO quarantine (folder, file, server, calling_ae, address, sop_class_uid, sop_instance_uid, transfer_syntax_uid, bytes)
		VALUES (gen_random_uuid(), gen_random_uuid(), 'SRC', 'SRC', '10.0.0.1', '1.2.840.10008.5.1.4.1.1.2', '1.2.3', '1.2.840.10008.1.2.1', 100) RETURNING id`)
	return []string{strconv.FormatInt(id, 10)}
}
