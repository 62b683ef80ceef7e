// SPDX-License-Identifier: AGPL-3.0-or-later

package server_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/process"
)

// TestMailOfKilledServer: a job ends, and the server is killed while it has the mail in hand; the next start sends it,
// once.
func TestMailOfKilledServer(t *testing.T) {
	reached, release := make(chan struct{}), make(chan struct{})
	var first sync.Once
	sink := testpeer.Mail(t, func(s *testpeer.MailServer) {
		s.Gate = func(string) (err error) {
			first.Do(func() {
				close(reached)
				<-release
				err = errors.New("its client was killed")
			})
			return err
		}
	})
	dir, url := t.TempDir(), dbtest.URL(t)
	args := []string{
		"--database-url", url, "--smtp-host", sink.Host,
		"--smtp-port", strconv.Itoa(sink.Port), "--smtp-tls", "none",
		"--mail-from", "ADIT <adit@example.org>", "--timezone", "Europe/Berlin",
	}
	s := process.ServePhantoms(t, dir, args...)
	conn, err := db.Connect(t.Context(), url, "")
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	change := func(sql string) {
		t.Helper()
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	change("UPDATE users SET mail = 'admin@example.org'")
	out, code := s.Adit(
		"transfer", "--source", "PACS-A", "--destination", "RESEARCH",
		"--study", phantom.DemoStudies()[0].StudyInstanceUID, "--mail", "--wait",
	)
	require.Zero(t, code, out)
	select {
	case <-reached:
	case <-time.After(process.Deadline):
		t.Fatal("the server did not send the mail")
	}
	require.NoError(t, s.Cmd.Process.Kill())
	<-s.Ended
	close(release)

	s = process.Serve(t, dir, args...)
	change("UPDATE outbox SET next_at = now()") // the lease of the killed one is over
	ctx, cancel := context.WithTimeout(t.Context(), process.Deadline)
	defer cancel()
	letters, err := sink.Wait(ctx, 1)
	require.NoError(t, err)
	require.Equal(t, []string{"admin@example.org"}, letters[0].To)
	require.Equal(t, "ADIT job 1: Success", letters[0].Header.Get("Subject"))
	require.Equal(t, "Your job 1 from PACS-A to RESEARCH has ended: Success.\n\n1 task succeeded.\n\n"+
		"You get this mail because it was requested when the job was made.\n", letters[0].Body)
	process.Await(t, "that the mail is marked", func() bool {
		var status string
		err := conn.QueryRow(t.Context(), "SELECT status FROM outbox").Scan(&status)
		require.NotErrorIs(t, err, pgx.ErrNoRows)
		return err == nil && status == "sent"
	})
	out, _ = s.Adit("mail", "list")
	require.Contains(t, out, "ADIT job 1: Success")
	out, _ = s.Adit("stats", "--json")
	require.Contains(t, out, "Europe/Berlin")
	require.Len(t, sink.Letters(), 1)
}
