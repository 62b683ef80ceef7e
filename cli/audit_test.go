// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/db/local"
	"github.com/adit-go/adit/test/process"
)

var headWord = regexp.MustCompile(`Head: (\d+:[0-9a-f]{64})`)

// TestAudit walks through the commands of the audit log, with the server and without: what somebody does to the
// database is found by both.
func TestAudit(t *testing.T) {
	dir := t.TempDir()
	s := process.Serve(t, dir)
	out, code := s.Adit("announcement", "set", "Tonight the PACS is away.")
	require.Zero(t, code, out)
	sealed := func(action string) (row client.AuditEntry) {
		process.Await(t, action+" in the chain", func() bool {
			out, code := s.Adit("audit", "list", "--json", "--action", action)
			require.Zero(t, code, out)
			var rows []client.AuditEntry
			require.NoError(t, json.Unmarshal([]byte(out), &rows))
			if len(rows) == 0 || rows[0].Seq == 0 {
				return false
			}
			row = rows[0]
			return true
		})
		return row
	}
	row := sealed("announcement.change")
	require.Equal(t, [...]string{"admin", "token", "127.0.0.1"}, [...]string{row.Username, row.Via, row.Peer})
	require.Equal(t, "system", sealed("application.start").Via)

	out, code = s.Adit(
		"audit", "list", "--user", "ADMIN", "--from", "2020-01-01",
		"--until", "2100-01-01T00:00:00Z", "--limit", "1000",
	)
	require.Zero(t, code, out)
	require.Contains(t, out, "announcement.change")
	out, _ = s.Adit("audit", "list", "--until", "2020-01-01")
	require.NotContains(t, out, "announcement.change")
	_, code = s.Adit("audit", "list", "--from", "yesterday")
	require.Equal(t, command.ExitUsage, code)

	file := filepath.Join(dir, "audit.jsonl")
	out, code = s.Adit("audit", "export", "-o", file)
	require.Zero(t, code, out)
	head := headWord.FindStringSubmatch(out)[1]
	_, code = s.Adit("audit", "export", "-o", file)
	require.Equal(t, command.ExitFailure, code, "an export is never overwritten")
	out, code = s.Adit("audit", "verify", "--file", file)
	require.Zero(t, code, out)
	require.Contains(t, out, head)
	out, code = s.Adit("audit", "verify", "--head", head)
	require.Zero(t, code, out)
	_, code = s.Adit("audit", "verify", "--head", "4711")
	require.Equal(t, command.ExitUsage, code)

	url, err := local.URL(dir)
	require.NoError(t, err)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)

	// A month leaves the database, and its file stays.
	_, err = conn.Exec(t.Context(),
		"SELECT audit_add_month('2020-01-05'); INSERT INTO audit (at, action) VALUES ('2020-01-05', 'job.create')",
	)
	require.NoError(t, err)
	month := filepath.Join(dir, "2020-01.jsonl")
	process.Await(t, "the month in the chain", func() bool {
		out, code = s.Adit("audit", "detach", "2020-01", "-o", month)
		return code == 0 || !strings.Contains(out, "not sealed yet")
	})
	require.Zero(t, code, out)
	before := regexp.MustCompile(`--head (\d+:[0-9a-f]{64})`).FindStringSubmatch(out)[1]
	out, code = s.Adit("audit", "verify", "--file", month, "--head", before)
	require.Zero(t, code, out)
	out, code = s.Adit("audit", "verify", "--head", head)
	require.Zero(t, code, out)
	require.Contains(t, out, "2020-01 was exported and detached: 1 row.")
	out, code = s.Adit("audit", "months")
	require.Zero(t, code, out)
	require.NotContains(t, out, "2020-01")
	_, code = s.Adit("audit", "detach", time.Now().UTC().Format("2006-01"), "-o", month+".2")
	require.Equal(t, command.ExitFailure, code)
	require.NoFileExists(t, month+".2", "nothing is left of what was refused")

	_, err = conn.Exec(t.Context(), "ALTER TABLE audit DISABLE TRIGGER USER; UPDATE audit SET username = 'nobody' WHERE action = 'announcement.change'; ALTER TABLE audit ENABLE TRIGGER USER")
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	told := regexp.MustCompile(`Row \d+ does not match its hash`)
	out, code = s.Adit("audit", "verify")
	require.Equal(t, command.ExitFailure, code)
	require.Regexp(t, told, out)

	require.NoError(t, s.Cmd.Process.Signal(syscall.SIGTERM))
	s.AwaitEnd()
	out, code = s.Adit("audit", "verify", "--head", head)
	require.Equal(t, command.ExitFailure, code, "the server need not run")
	require.Regexp(t, told, out)
	out, code = s.Adit("audit", "export")
	require.Zero(t, code, out)
	require.Contains(t, out, `"action":"application.stop"`)
	_, code = s.Adit("audit", "verify", "--data-dir", filepath.Join(dir, "elsewhere"))
	require.Equal(t, command.ExitUsage, code)
}

func TestLicensesAndSource(t *testing.T) {
	out, _, code := runAdit(t, "licenses")
	require.Zero(t, code)
	require.Contains(t, out, "GNU AFFERO GENERAL PUBLIC LICENSE")
	require.Contains(t, out, "\ngithub.com/jackc/pgx/v5 v")
	require.Contains(t, out, "\nGo standard library\n")
	out, _, code = runAdit(t, "version", "--source")
	require.Zero(t, code)
	require.Contains(t, out, "source: "+command.Source+"\n")
	require.Equal(t, command.Source, command.About().Source)
}
