// SPDX-License-Identifier: AGPL-3.0-or-later

package audit_test

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/testpeer"
)

// eachRsyslog runs a test with both of rsyslogd's TLS libraries. An authority signed its certificate, and ours.
func eachRsyslog(
	t *testing.T, test func(t *testing.T, r *testpeer.Rsyslog, authority *testpeer.Authority, ours *testpeer.Identity),
) {
	t.Helper()
	t.Parallel()
	authority := testpeer.NewAuthority(t)
	its, ours := authority.Issue(t, "localhost"), authority.Issue(t, "adit.example")
	for _, driver := range []string{"gtls", "ossl"} {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			test(t, testpeer.NewRsyslog(t, driver, authority, its), authority, ours)
		})
	}
}

// toRsyslog is how an rsyslogd is sent to, with TLS as tlsOf has it.
func toRsyslog(t *testing.T, r *testpeer.Rsyslog, trusted *testpeer.Authority, own *testpeer.Identity) audit.Syslog {
	t.Helper()
	return audit.Syslog{Addr: r.Addr, Host: "node 1", TLS: tlsOf(t, trusted, own)}
}

// await asks until it is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(time.Minute); !so(); {
		select {
		case <-tick.C:
		case <-end:
			require.FailNow(t, "it did not come to this: "+what)
		}
	}
}

// sent returns the place in the chain up to which a receiver has confirmed.
func sent(t *testing.T, pool *pgxpool.Pool, addr string) int {
	t.Helper()
	var seq int
	require.NoError(t, pool.QueryRow(
		t.Context(), "SELECT seq FROM audit_receivers WHERE receiver = $1", addr,
	).Scan(&seq))
	return seq
}

// search leaves the row of a search with an identifier of that many bytes.
func search(t *testing.T, q *db.Queries, patient string, size int) (query []byte) {
	t.Helper()
	query = []byte(strings.Repeat(patient+"\x1b\n", size/(len(patient)+2)+1))[:size]
	require.NoError(t, audit.Record(t.Context(), q, audit.Entry{
		Action: audit.ActSearch, Object: "server PACS1", Source: "PACS1", PatientID: patient,
		Detail: map[string]any{
			"sop_class": "1.2.840.10008.5.1.4.1.2.2.1", "transfer_syntax": "1.2.840.10008.1.2.1", "query": query,
		},
	}))
	return query
}

// TestRsyslog: a real receiver, set up as docs/admin.md tells, gets each message once, whole and in order, reads out of
// it what RFC 5424 says is in it, and keeps XML that the schema of the standard accepts.
func TestRsyslog(t *testing.T) {
	eachRsyslog(t, func(t *testing.T, r *testpeer.Rsyslog, authority *testpeer.Authority, ours *testpeer.Identity) {
		a, pool := newService(t)
		fromTheStart(t, pool, r.Addr)
		everyKind(t, pool)
		names := []string{"Phäntom^Bêta", "幻影^甲=げんえい", "Фантом\tα\r\n#012 %s", "]<&\"'>"}
		queries := map[int][]byte{}
		const known = 31 // rows of everyKind; the last of them, a job's, has no message
		for i, name := range names {
			queries[known+1+i] = search(t, db.New(pool), name, 9000+1000*i)
		}
		sealed := seal(t, a)
		require.Equal(t, known+len(names), sealed)
		forward(t, pool, toRsyslog(t, r, authority, ours))
		await(t, "all is sent", func() bool { return sent(t, pool, r.Addr) == sealed })
		r.Stop(t) // all that it took is in its file now
		messages := r.Messages(t)
		head := len(messages) - 1
		require.Equal(t, sealed-1, head)

		dir := t.TempDir()
		files := make([]string, head)
		for i, m := range messages {
			seq := i + 1
			if seq >= known {
				seq++
			}
			if i == head {
				seq = sealed
			}
			var at time.Time
			var action, patient string
			require.NoError(t, pool.QueryRow(
				t.Context(), "SELECT at, action, patient_id FROM audit WHERE seq = $1", seq,
			).Scan(&at, &action, &patient))
			require.Equal(t, "authpriv", m.Facility)
			require.Equal(t, "node-1", m.Host)
			require.Equal(t, "adit", m.App)
			require.Equal(t, strconv.Itoa(os.Getpid()), m.Process)
			require.Equal(t, fmt.Sprintf(`[meta sequenceId="%d"]`, seq), m.Data)
			took, err := time.Parse(time.RFC3339Nano, m.Timestamp)
			require.NoError(t, err)
			require.True(t, at.Equal(took), "%s, not %s", took, at)
			require.Equal(t, fmt.Sprintf(
				"<%s>1 %s node-1 adit %s %s %s %s", m.Priority,
				at.UTC().Format("2006-01-02T15:04:05.000000Z"), m.Process, m.Kind, m.Data, m.Text,
			), m.Raw)
			text, ok := strings.CutPrefix(m.Text, "\ufeff")
			require.True(t, ok, "UTF-8 begins with its mark (RFC 5424 6.4)")
			if i == head {
				require.Equal(t, "ADIT-AUDIT-HEAD", m.Kind)
				verified, err := audit.ParseHead(strings.TrimPrefix(text, "adit audit head "))
				require.NoError(t, err)
				report, err := a.Verify(t.Context(), verified)
				require.NoError(t, err)
				require.Empty(t, report.Faults)
				break
			}
			require.Equal(t, "DICOM+RFC3881", m.Kind)
			files[i] = filepath.Join(dir, fmt.Sprintf("%d.xml", seq))
			require.NoError(t, os.WriteFile(files[i], []byte(text), 0o600))
			var doc struct {
				Event struct {
					At      time.Time `xml:"EventDateTime,attr"`
					Outcome string    `xml:"EventOutcomeIndicator,attr"`
				} `xml:"EventIdentification"`
				Objects []struct {
					Query string `xml:"ParticipantObjectQuery"`
				} `xml:"ParticipantObjectIdentification"`
			}
			require.NoError(t, xml.Unmarshal([]byte(text), &doc), text)
			require.True(t, at.Equal(doc.Event.At))
			wanted := [2]string{"84", "warning"}
			if doc.Event.Outcome == "0" {
				wanted = [2]string{"85", "notice"}
			}
			require.Equal(t, wanted, [2]string{m.Priority, m.Severity})
			if query := queries[seq]; query != nil {
				require.Greater(t, len(m.Raw), 8192)
				got, err := base64.StdEncoding.DecodeString(doc.Objects[0].Query)
				require.NoError(t, err)
				require.Equal(t, query, got)
			}
		}
		args := append([]string{"--noout", "--relaxng", filepath.Join("testdata", "audit-message.rng")}, files...)
		out, err := exec.CommandContext(t.Context(), "xmllint", args...).CombinedOutput()
		require.NoError(t, err, string(out))
	})
}

// halfway returns an address that leads to a receiver. The first connection over it stands still after that many bytes,
// which it tells, until the receiver ends it.
func halfway(t *testing.T, addr string, size int64) (through string, stands <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	still := make(chan struct{})
	var all sync.WaitGroup
	relay := func(n int, from net.Conn) {
		defer func() { _ = from.Close() }() // with what was not read of it, as at the end of the receiver's process
		to, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		all.Go(func() {
			if n > 1 {
				_, _ = io.Copy(to, from)
				return
			}
			_, _ = io.CopyN(to, from, size)
			close(still)
		})
		_, _ = io.Copy(from, to)
		_ = to.Close()
	}
	all.Go(func() {
		for n := 1; ; n++ {
			from, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { relay(n, from) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	return l.Addr().String(), still
}

// TestRsyslogRestarts: of what happens while a receiver restarts, in the middle of a batch, and while it is away, it
// gets all in order. The batch that was broken off comes again, which the log tells, and nothing else does.
func TestRsyslogRestarts(t *testing.T) {
	eachRsyslog(t, func(t *testing.T, r *testpeer.Rsyslog, authority *testpeer.Authority, ours *testpeer.Identity) {
		a, pool := newService(t)
		to := toRsyslog(t, r, authority, ours)
		var stands <-chan struct{}
		to.Addr, stands = halfway(t, r.Addr, 20_000)
		fromTheStart(t, pool, to.Addr)
		for range 10 {
			search(t, db.New(pool), "PHANTOM-001", 3000)
		}
		broken := seal(t, a)
		var log testpeer.Buffer
		forward(t, pool, to, &log)
		<-stands
		await(t, "a message is there", func() bool { return len(r.Messages(t)) > 0 })
		r.Stop(t)
		for range 3 {
			search(t, db.New(pool), "PHANTOM-001", 30)
		}
		sealed := broken + seal(t, a)
		await(t, "the log tells of it", func() bool { return strings.Contains(log.String(), "can't be sent") })
		require.Zero(t, sent(t, pool, to.Addr))
		r.Start(t)
		await(t, "all is sent", func() bool { return sent(t, pool, to.Addr) == sealed })
		await(t, "the log tells of it", func() bool { return strings.Contains(log.String(), "are being sent again") })
		r.Stop(t)

		var seqs []int
		for _, m := range r.Messages(t) {
			var seq int
			_, err := fmt.Sscanf(m.Data, `[meta sequenceId="%d"]`, &seq)
			require.NoError(t, err)
			if m.Kind == "ADIT-AUDIT-HEAD" {
				require.Equal(t, seqs[len(seqs)-1], seq)
				continue
			}
			seqs = append(seqs, seq)
		}
		twice := len(seqs) - sealed
		require.Positive(t, twice)
		require.Less(t, twice, broken)
		for i, seq := range seqs {
			if i >= twice {
				i -= twice
			}
			require.Equal(t, i+1, seq)
		}
	})
}

// TestRsyslogCertificates: who is not trusted, on either side, gets and gives nothing, and the log tells why. What was
// to be sent stays.
func TestRsyslogCertificates(t *testing.T) {
	eachRsyslog(t, func(t *testing.T, r *testpeer.Rsyslog, authority *testpeer.Authority, ours *testpeer.Identity) {
		a, pool := newService(t)
		fromTheStart(t, pool, r.Addr)
		other := testpeer.NewAuthority(t)
		misnamed := toRsyslog(t, r, authority, ours)
		misnamed.TLS.ServerName = "audit.example"
		search(t, db.New(pool), "PHANTOM-001", 30)
		sealed := seal(t, a)
		for name, test := range map[string]struct {
			to   audit.Syslog
			says string
		}{
			"signed by somebody else":         {toRsyslog(t, r, other, ours), "the receiver's certificate is not trusted, and nothing was sent"},
			"of another name":                 {misnamed, "the receiver's certificate is not trusted, and nothing was sent"},
			"ours is signed by somebody else": {toRsyslog(t, r, authority, other.Issue(t, "adit.example")), "whether it trusts ADIT's certificate"},
			"ours is missing":                 {toRsyslog(t, r, authority, nil), "whether it trusts ADIT's certificate"},
		} {
			var log testpeer.Buffer
			stop := forward(t, pool, test.to, &log)
			await(t, name, func() bool { return strings.Contains(log.String(), "can't be sent") })
			stop()
			require.Contains(t, log.String(), test.says, name)
			require.Zero(t, sent(t, pool, r.Addr), name)
		}
		forward(t, pool, toRsyslog(t, r, authority, ours))
		await(t, "all is sent", func() bool { return sent(t, pool, r.Addr) == sealed })
		r.Stop(t)
		require.Len(t, r.Messages(t), 2, "the message and its head, once")
	})
}
