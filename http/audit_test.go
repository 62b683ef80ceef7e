// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/http"
)

// TestAuditLog: staff find who moved which study where by a query, page by page; reading leaves a row itself.
func TestAuditLog(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	began := time.Now().Add(-time.Second)
	mover := audit.WithActor(ctx, audit.Actor{UserID: 9, Username: "Ada", Via: audit.ViaSystem})
	for _, destination := range []string{"Research", "Archive"} {
		require.NoError(t, audit.Record(mover, db.New(s.pool), audit.Entry{
			Action: audit.ActTransfer, Object: "task 3", PatientID: "4711",
			StudyUID: "1.2.3", Source: "PACS1", Destination: destination,
			Profile: "default 1", ProfileSHA256: "ab", Detail: map[string]any{"delivered": 40},
		}))
	}
	rows := func(f client.AuditFilter) (all []client.AuditEntry) {
		for row, err := range s.client.Audit.List(ctx, f) {
			require.NoError(t, err)
			all = append(all, row)
		}
		return all
	}
	// two pages
	found := rows(client.AuditFilter{
		StudyUID: "1.2.3", Action: audit.ActTransfer, From: began, Until: time.Now().Add(time.Minute),
		Part: client.Part{Limit: 1},
	})
	require.Len(t, found, 2)
	got := found[1]
	require.WithinRange(t, got.At, began, time.Now())
	got.At, got.ID = time.Time{}, 0
	require.Equal(t, client.AuditEntry{
		UserID: 9, Username: "Ada", Via: "system", Action: audit.ActTransfer,
		Object: "task 3", PatientID: "4711", StudyUID: "1.2.3", Source: "PACS1",
		Destination: "Research", Profile: "default 1", ProfileSHA256: "ab", Detail: map[string]any{"delivered": 40.0},
	}, got)
	require.Equal(t, "Archive", found[0].Destination)
	require.Len(t, rows(client.AuditFilter{Username: "ada"}), 2)
	require.Empty(t, rows(client.AuditFilter{Until: began}))
	read := rows(client.AuditFilter{Username: "admin", Action: "audit.read"})
	require.NotEmpty(t, read)
	require.Equal(t, [...]string{"token", "127.0.0.1"}, [...]string{read[0].Via, read[0].Peer})

	_, err := audit.New(s.pool).SealOnce(ctx)
	require.NoError(t, err)
	sealed := rows(client.AuditFilter{StudyUID: "1.2.3", Action: audit.ActTransfer})
	require.EqualValues(t, 1, sealed[1].Seq)
	require.Len(t, sealed[1].Hash, 64)

	for _, err := range s.otherUser().Audit.List(ctx, client.AuditFilter{}) {
		require.Equal(t, 403, status(err))
	}
	for _, query := range []string{
		`"cursor":"x"`, `"cursor":"-1"`, `"limit":0`, `"limit":501`, `"from":"yesterday"`, `"patient_id":"a\nb"`,
	} {
		require.Equal(t, 422, s.send("POST", "/api/v1/audit:search", "{"+query+"}").StatusCode, query)
	}
}

// TestAbout: whoever reaches ADIT is told where its source is (AGPL section 13).
func TestAbout(t *testing.T) {
	s := newSite(t)
	r := s.send("GET", "/about", "", "Authorization", "")
	require.Equal(t, 200, r.StatusCode)
	require.Equal(t, "application/json", r.Header.Get("Content-Type"))
	var about http.About
	require.NoError(t, json.Unmarshal([]byte(r.body), &about))
	require.Equal(t,
		http.About{Name: "ADIT", Version: "test", License: "AGPL-3.0-or-later", Source: "https://example.org/source"},
		about,
	)
}

// TestReceiver: staff is told what the administrator of a PACS has to enter there.
func TestReceiver(t *testing.T) {
	s := newSite(t)
	r, err := s.client.Servers.Receiver(t.Context())
	require.NoError(t, err)
	require.Equal(t, client.Receiver{AETitle: "ADIT", PlainAETitle: "ADIT_LE", Port: 11112}, r)
	_, err = s.otherUser().Servers.Receiver(t.Context())
	require.Equal(t, 403, status(err))
}
