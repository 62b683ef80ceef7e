// SPDX-License-Identifier: AGPL-3.0-or-later

package audit_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

// tlsOf is the TLS of one side: trusted is who may have signed the other's certificate, own is shown to it unless nil.
func tlsOf(t *testing.T, trusted *testpeer.Authority, own *testpeer.Identity) *tls.Config {
	t.Helper()
	c := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	require.True(t, c.RootCAs.AppendCertsFromPEM(trusted.PEM))
	if own != nil {
		pair, err := tls.X509KeyPair(own.Certificate, own.Key)
		require.NoError(t, err)
		c.Certificates = []tls.Certificate{pair}
	}
	return c
}

// syslogPair is the TLS of a receiver and of a sender, each of which wants to see the other's certificate.
func syslogPair(t *testing.T) (receiver, sender *tls.Config) {
	t.Helper()
	authority := testpeer.NewAuthority(t)
	receiver = tlsOf(t, authority, authority.Issue(t, "localhost"))
	receiver.ClientAuth, receiver.ClientCAs = tls.RequireAndVerifyClientCert, receiver.RootCAs
	return receiver, tlsOf(t, authority, authority.Issue(t, "adit.example"))
}

// syslogMessage is a message as the receiver sees it.
type syslogMessage struct {
	priority, seq int
	kind, text    string
}

var syslogHeader = regexp.MustCompile(
	`^<(\d+)>1 (\S+) (\S+) adit (\d+) (\S+) \[meta sequenceId="(\d+)"\] \x{feff}(?s:(.*))$`,
)

// syslogReceiver takes messages as RFC 5425 has it. spoil may do something else with a connection, and then says so.
type syslogReceiver struct {
	addr     string
	messages chan syslogMessage
}

func newReceiver(t *testing.T, cfg *tls.Config, spoil func(n int, conn net.Conn) bool) *syslogReceiver {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	require.NoError(t, err)
	r := &syslogReceiver{addr: l.Addr().String(), messages: make(chan syslogMessage, 1000)}
	var all sync.WaitGroup
	all.Go(func() {
		for n := 1; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer func() { _ = conn.Close() }()
				if spoil != nil && spoil(n, conn) {
					return
				}
				if err := r.read(conn); err != nil {
					t.Errorf("connection %d: %v", n, err)
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	return r
}

func (r *syslogReceiver) read(conn net.Conn) error {
	in := bufio.NewReader(conn)
	for {
		length, err := in.ReadString(' ')
		if errors.Is(err, io.EOF) && length == "" {
			return nil
		}
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(strings.TrimSuffix(length, " "))
		if err != nil || n > 32768 { // PS3.15 A.6: receivers take that many
			return fmt.Errorf("a frame of %s bytes", length)
		}
		text := make([]byte, n)
		if _, err := io.ReadFull(in, text); err != nil {
			return err
		}
		parts := syslogHeader.FindStringSubmatch(string(text))
		if parts == nil {
			return fmt.Errorf("no message of RFC 5424: %s", text)
		}
		if _, err := time.Parse(time.RFC3339Nano, parts[2]); err != nil {
			return err
		}
		m := syslogMessage{kind: parts[5], text: parts[7]}
		m.priority, _ = strconv.Atoi(parts[1]) // digits
		m.seq, _ = strconv.Atoi(parts[6])
		r.messages <- m
	}
}

// fromTheStart has a receiver get all rows.
func fromTheStart(t *testing.T, pool *pgxpool.Pool, addr string) {
	t.Helper()
	_, err := pool.Exec(
		t.Context(), "INSERT INTO audit_receivers VALUES ($1, 0, gen_random_uuid(), now() - interval '1 second')", addr,
	)
	require.NoError(t, err)
}

// forward forwards until the test, or what it returns, ends it. What is logged goes to log as well.
func forward(t *testing.T, pool *pgxpool.Pool, to audit.Syslog, log ...io.Writer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { audit.New(pool).Forward(ctx, to, testpeer.Log(t, log...)) })
	stop = sync.OnceFunc(func() {
		cancel()
		all.Wait()
	})
	t.Cleanup(stop)
	return stop
}

func (r *syslogReceiver) next(t *testing.T) syslogMessage {
	t.Helper()
	select {
	case m := <-r.messages:
		return m
	case <-time.After(time.Minute):
		require.FailNow(t, "no message came")
		return syslogMessage{}
	}
}

// everyKind leaves a row of each kind that the standard has an event for, and one that it has none for.
func everyKind(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	q := db.New(pool)
	ada := audit.WithActor(
		t.Context(), audit.Actor{UserID: 7, Username: "ada <&\"'", Via: audit.ViaToken, Peer: "192.0.2.1"},
	)
	nobody := audit.WithActor(t.Context(), audit.Actor{Peer: "a-proxy"})
	moved := audit.Entry{
		Action: audit.ActTransfer, Object: "task 3", PatientID: "4711\x07",
		StudyUID: "1.2.3", Source: "PACS1", Destination: "Research",
		Profile: "default 1", ProfileSHA256: "ab", Detail: map[string]any{"outcome": "success"},
	}
	exported, failed, parked, begun := moved, moved, moved, moved
	exported.Detail, exported.Profile = map[string]any{"outcome": "warning", "folder": true}, ""
	failed.Detail, parked.Detail = map[string]any{"outcome": "failure"}, map[string]any{"outcome": "pending"}
	begun.Action, begun.Detail = audit.ActBegin, nil
	search := audit.Entry{
		Action: audit.ActSearch, Object: "server PACS1", Source: "PACS1", PatientID: "4711",
		Detail: map[string]any{
			"sop_class": "1.2.840.10008.5.1.4.1.2.2.1", "transfer_syntax": "1.2.840.10008.1.2.1",
			"query": []byte("\x10\x00\x20\x00LO\x04\x004711"),
		},
	}
	for _, e := range []audit.Entry{
		begun, moved, exported, failed, parked, search, {Action: "audit.read", Object: "audit log"},
	} {
		require.NoError(t, audit.Record(ada, q, e))
	}
	for _, action := range []string{"session.begin", "session.end"} {
		require.NoError(t, audit.Record(ada, q, audit.Entry{Action: action, Object: "user ada"}))
	}
	require.NoError(t, audit.Record(nobody, q, audit.Entry{Action: "session.refused", Object: "user bob"}))
	for _, action := range []string{audit.ActStart, audit.ActStop} {
		require.NoError(t, audit.Record(t.Context(), q, audit.Entry{Action: action, Object: "node here"}))
	}
	for _, action := range []string{
		"server.change", "folder.change", "schedule.change", "workers.change", "member.drain",
		"project.change", "profile.create", "linkage.read", "settings.change",
		"announcement.change", "mail.retry", "group.change", "access.change", "user.change",
		"me.change", "token.revoke", "password.change", "registration.refuse",
	} {
		resource, _, _ := strings.Cut(action, ".")
		require.NoError(t, audit.Record(ada, q, audit.Entry{Action: action, Object: resource + " a name"}))
	}
	require.NoError(t, audit.Record(ada, q, audit.Entry{Action: "job.cancel", Object: "job 1"}))
}

// TestMessages: what is sent of each kind of row validates against the schema of the standard, comes in the order of
// the chain, and is followed by a head that verifies.
func TestMessages(t *testing.T) {
	a, pool := newService(t)
	receiving, sending := syslogPair(t)
	r := newReceiver(t, receiving, nil)
	fromTheStart(t, pool, r.addr)
	everyKind(t, pool)
	sealed := seal(t, a)
	forward(t, pool, audit.Syslog{Addr: r.addr, TLS: sending, Host: "node 1"})

	dir := t.TempDir()
	var files []string
	events := map[string]int{}
	for last := 0; ; {
		m := r.next(t)
		require.GreaterOrEqual(t, m.seq, last)
		if last = m.seq; m.kind == "ADIT-AUDIT-HEAD" {
			require.Equal(t, sealed, m.seq)
			text, ok := strings.CutPrefix(m.text, "adit audit head ")
			require.True(t, ok, m.text)
			head, err := audit.ParseHead(text)
			require.NoError(t, err)
			report, err := a.Verify(t.Context(), head)
			require.NoError(t, err)
			require.Empty(t, report.Faults)
			break
		}
		require.Equal(t, "DICOM+RFC3881", m.kind)
		files = append(files, filepath.Join(dir, fmt.Sprintf("%d.xml", m.seq)))
		require.NoError(t, os.WriteFile(files[len(files)-1], []byte(m.text), 0o600))
		var doc struct {
			Event struct {
				Outcome string `xml:"EventOutcomeIndicator,attr"`
				ID      struct {
					Text string `xml:"originalText,attr"`
				} `xml:"EventID"`
			} `xml:"EventIdentification"`
			Objects []struct {
				ID    string `xml:"ParticipantObjectID,attr"`
				Query string `xml:"ParticipantObjectQuery"`
			} `xml:"ParticipantObjectIdentification"`
		}
		require.NoError(t, xml.Unmarshal([]byte(m.text), &doc))
		events[doc.Event.ID.Text]++
		require.Equal(t, map[bool]int{true: 85, false: 84}[doc.Event.Outcome == "0"], m.priority, m.text)
		if doc.Event.ID.Text == "Query" {
			query, err := base64.StdEncoding.DecodeString(doc.Objects[0].Query)
			require.NoError(t, err)
			require.Equal(t, "\x10\x00\x20\x00LO\x04\x004711", string(query))
		}
	}
	require.Equal(t, map[string]int{
		"Begin Transferring DICOM Instances": 1, "DICOM Instances Transferred": 3,
		"Export": 1, "Query": 1, "Audit Log Used": 1, "User Authentication": 3,
		"Application Activity": 2, "Security Alert": 18,
	}, events)
	require.Len(t, files, sealed-1, "jobs have no event in the standard")

	args := append([]string{"--noout", "--relaxng", filepath.Join("testdata", "audit-message.rng")}, files...)
	out, err := exec.CommandContext(t.Context(), "xmllint", args...).CombinedOutput()
	require.NoError(t, err, string(out))
	spoilt := filepath.Join(dir, "spoilt.xml")
	text, err := os.ReadFile(files[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(spoilt,
		[]byte(strings.Replace(string(text), `EventOutcomeIndicator="0"`, `EventOutcomeIndicator="1"`, 1)), 0o600,
	))
	require.Error(t, exec.CommandContext(
		t.Context(), "xmllint", "--noout", "--relaxng", filepath.Join("testdata", "audit-message.rng"), spoilt,
	).Run(), "the schema judges")
}

// TestSyslogIsNotLost: a receiver that breaks off in every way, and a sender that is ended in the midst, lose nothing:
// each row comes, in order, though some may come twice.
func TestSyslogIsNotLost(t *testing.T) {
	for name, spoil := range map[string]func(conn net.Conn){
		"closes at once": func(net.Conn) {},
		"reads a part":   func(conn net.Conn) { _, _ = io.CopyN(io.Discard, conn, 300) },
		"closes early, with close_notify": func(conn net.Conn) {
			if tc, ok := conn.(*tls.Conn); ok {
				_ = tc.Handshake()
				_ = tc.CloseWrite()
			}
		},
		"is reset": func(conn net.Conn) {
			_, _ = io.CopyN(io.Discard, conn, 300)
			if tc, ok := conn.(*tls.Conn); ok {
				_ = tc.NetConn().(*net.TCPConn).SetLinger(0)
				_ = tc.NetConn().Close()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, pool := newService(t)
			receiving, sending := syslogPair(t)
			spoilt := make(chan struct{})
			r := newReceiver(t, receiving, func(n int, conn net.Conn) bool {
				if n == 1 {
					spoil(conn)
					_ = conn.Close()
					close(spoilt)
				}
				return n == 1
			})
			fromTheStart(t, pool, r.addr)
			everyKind(t, pool)
			sealed := seal(t, a)
			forward(t, pool, audit.Syslog{Addr: r.addr, TLS: sending, Host: "node"})
			<-spoilt
			for seq := 1; seq < sealed; seq++ {
				require.Equal(t, seq, r.next(t).seq)
			}
			require.Equal(t, "ADIT-AUDIT-HEAD", r.next(t).kind)
		})
	}
}

// TestSyslogGoesOnInAnotherProcess: a process that ends between commit and confirmation leaves the rest to another one.
// Of two that run, one sends.
func TestSyslogGoesOnInAnotherProcess(t *testing.T) {
	a, pool := newService(t)
	receiving, sending := syslogPair(t)
	held := make(chan struct{})
	r := newReceiver(t, receiving, func(n int, conn net.Conn) bool {
		if n > 1 {
			return false
		}
		_, _ = io.CopyN(io.Discard, conn, 100)
		close(held)
		// Past TLS, which would end with close_notify, until the sender is gone: it is never told that all was read.
		_, _ = io.Copy(io.Discard, conn.(*tls.Conn).NetConn())
		return true
	})
	fromTheStart(t, pool, r.addr)
	record(t, pool, "job 1") // has no event: the head alone tells of it
	require.NoError(t, audit.Record(t.Context(), db.New(pool), audit.Entry{Action: "server.pause", Object: "server A"}))
	require.Equal(t, 2, seal(t, a))
	to := audit.Syslog{Addr: r.addr, TLS: sending, Host: "node"}
	stop := forward(t, pool, to)
	<-held
	var seq int64
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT seq FROM audit_receivers").Scan(&seq))
	require.Zero(t, seq, "not confirmed, so not sent")
	stop()

	forward(t, pool, to)
	forward(t, pool, to)
	m := r.next(t)
	require.Equal(t, 2, m.seq)
	require.Contains(t, m.text, "adit:server/A")
	require.Equal(t, "ADIT-AUDIT-HEAD", r.next(t).kind)
	require.NoError(t, audit.Record(
		t.Context(), db.New(pool), audit.Entry{Action: "server.continue", Object: "server A"},
	))
	require.Equal(t, 1, seal(t, a))
	require.Equal(t, 3, r.next(t).seq)
	require.Equal(t, "ADIT-AUDIT-HEAD", r.next(t).kind)
	require.Empty(t, r.messages)
}

// TestNewSyslogReceiver: who is configured today does not get the past.
func TestNewSyslogReceiver(t *testing.T) {
	a, pool := newService(t)
	receiving, sending := syslogPair(t)
	r := newReceiver(t, receiving, nil)
	require.NoError(t, audit.Record(t.Context(), db.New(pool), audit.Entry{Action: "server.pause", Object: "server A"}))
	require.Equal(t, 1, seal(t, a))
	forward(t, pool, audit.Syslog{Addr: r.addr, TLS: sending, Host: "node"})
	for known := 0; known == 0; {
		require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM audit_receivers").Scan(&known))
	}
	require.NoError(t, audit.Record(
		t.Context(), db.New(pool), audit.Entry{Action: "server.continue", Object: "server A"},
	))
	require.Equal(t, 1, seal(t, a))
	require.Equal(t, 2, r.next(t).seq)
}
