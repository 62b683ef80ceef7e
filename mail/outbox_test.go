// SPDX-License-Identifier: AGPL-3.0-or-later

package mail_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/mail"
	"github.com/adit-go/adit/people"
)

const mailDeadline = time.Minute // safety only

func post(ctx context.Context, pool *pgxpool.Pool, m mail.Message) error {
	return db.InTx(ctx, pool, func(tx pgx.Tx) error { return mail.Post(ctx, db.New(tx), m) })
}

// mailer runs a mailer until the test ends, or until stop.
func mailer(t *testing.T, pool *pgxpool.Pool, sink *testpeer.MailServer, change func(*mail.Config)) (stop func()) {
	t.Helper()
	cfg := mail.Config{
		Host: sink.Host, Port: sink.Port, TLS: mail.SMTPPlain,
		From: "ADIT <adit@example.org>", PublicURL: "https://adit.example.org/",
		Poll: 10 * time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	m, err := mail.New(pool, people.NewKey()).NewMailer(cfg, testpeer.Log(t))
	require.NoError(t, err)
	return running(t, m)
}

func running(t *testing.T, m *mail.Mailer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var runs sync.WaitGroup
	runs.Go(func() { m.Run(ctx) })
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			runs.Wait()
		})
	}
	t.Cleanup(stop)
	return stop
}

func letters(t *testing.T, sink *testpeer.MailServer, n int) []testpeer.Letter {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), mailDeadline)
	defer cancel()
	got, err := sink.Wait(ctx, n)
	require.NoError(t, err, "%d letters have come", len(got))
	return got
}

// untilMails waits until so many mails are in a state.
func untilMails(t *testing.T, pool *pgxpool.Pool, status string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), mailDeadline)
	defer cancel()
	for {
		var have int
		require.NoError(t, pool.QueryRow(ctx, "SELECT count(*) FROM outbox WHERE status = $1", status).Scan(&have))
		if have == n {
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("%d mails are %s, not %d", have, status, n)
		}
	}
}

func TestPost(t *testing.T) {
	pool := dbtest.New(t)
	broken := errors.New("something else failed")
	err := db.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		require.NoError(t, mail.Post(
			t.Context(), db.New(tx), mail.Message{To: []string{"a@example.org"}, Subject: "s", Body: "b"},
		))
		return broken
	})
	require.ErrorIs(t, err, broken)
	untilMails(t, pool, mail.Pending, 0)

	for name, m := range map[string]mail.Message{
		"no address":         {To: []string{"nobody"}, Subject: "s"},
		"two in one":         {To: []string{"a@example.org, b@example.org"}, Subject: "s"},
		"a name beside":      {To: []string{"A <a@example.org>"}, Subject: "s"},
		"a header behind":    {To: []string{"a@example.org\r\nBcc: b@example.org"}, Subject: "s"},
		"a line in subject":  {To: []string{"a@example.org"}, Subject: "s\r\nBcc: b@example.org"},
		"an endless address": {To: []string{strings.Repeat("a", 300) + "@example.org"}, Subject: "s"},
	} {
		var invalid *refusal.Invalid
		require.ErrorAs(t, post(t.Context(), pool, m), &invalid, name)
	}
	require.NoError(t, post(t.Context(), pool, mail.Message{Subject: "to nobody"}))
	untilMails(t, pool, mail.Pending, 0)
}

// TestMailer: each recipient gets a mail of their own, over TLS with a password, and the text is not kept.
func TestMailer(t *testing.T) {
	pool := dbtest.New(t)
	authority := testpeer.NewAuthority(t)
	identity := authority.Issue(t, "localhost")
	certificate, err := tls.X509KeyPair(identity.Certificate, identity.Key)
	require.NoError(t, err)
	sink := testpeer.Mail(t, func(s *testpeer.MailServer) {
		s.TLS, s.User, s.Password = &tls.Config{
			Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12,
		}, "adit", "secret"
	})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority.PEM)
	require.NoError(t, post(t.Context(), pool, mail.Message{
		To: []string{"a@example.org", "b@example.org"}, Subject: "Größe", Body: "Zeile 1 äöü\n.\nLast line\n",
	}))
	mailer(t, pool, sink, func(c *mail.Config) {
		c.TLS, c.User, c.Password, c.TLSConfig = mail.SMTPStartTLS, "adit", "secret",
			&tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}
	})
	ids := map[string]bool{}
	for _, l := range letters(t, sink, 2) {
		require.True(t, l.TLS)
		require.Equal(t, "adit@example.org", l.From)
		require.Len(t, l.To, 1)
		require.Equal(t, "<"+l.To[0]+">", l.Header.Get("To"))
		require.Empty(t, l.Header.Get("Cc")+l.Header.Get("Bcc"))
		require.Equal(t, "Zeile 1 äöü\n.\nLast line\n", l.Body)
		require.Equal(t, "auto-generated", l.Header.Get("Auto-Submitted"))
		require.True(t, strings.HasSuffix(l.MessageID, "@example.org>"), l.MessageID)
		ids[l.MessageID] = true
	}
	require.Len(t, ids, 2)
	untilMails(t, pool, mail.Sent, 2)
	var bodies string
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT string_agg(body, '') FROM outbox").Scan(&bodies))
	require.Empty(t, bodies, "a link in it may be a secret")
}

// TestJobEndMail: plain sentences with a link, whose words are found when the mail is sent.
func TestJobEndMail(t *testing.T) {
	pool := dbtest.New(t)
	sink := testpeer.Mail(t, nil)
	_, err := pool.Exec(t.Context(), `INSERT INTO outbox (recipient, subject, body, job_end) VALUES ('a@example.org', '', '',
		'{"job": 12, "status": "failure", "source": "PACS 1", "destination": "Research", "success": 1, "warning": 0, "failure": 3, "canceled": 2}')`)
	require.NoError(t, err)
	mailer(t, pool, sink, nil)
	l := letters(t, sink, 1)[0]
	require.Equal(t, "ADIT job 12: Failure", l.Header.Get("Subject"))
	require.Equal(t, `Your job 12 from PACS 1 to Research has ended: Failure.

1 task succeeded.
3 tasks failed.
2 tasks canceled.

https://adit.example.org/jobs/12

You get this mail because it was requested when the job was made.
`, l.Body)
}

// TestMailerNeedsTLS: nothing goes out in the clear, unless somebody wants it so.
func TestMailerNeedsTLS(t *testing.T) {
	pool := dbtest.New(t)
	sink := testpeer.Mail(t, nil)
	require.NoError(t, post(t.Context(), pool, mail.Message{To: []string{"a@example.org"}, Subject: "s", Body: "b"}))
	stop := mailer(t, pool, sink, func(c *mail.Config) { c.TLS = "" })
	ctx, cancel := context.WithTimeout(t.Context(), mailDeadline)
	defer cancel()
	for reason := ""; reason == ""; {
		require.NoError(t, pool.QueryRow(ctx, "SELECT error FROM outbox").Scan(&reason))
	}
	stop()
	require.Empty(t, sink.Letters())
	untilMails(t, pool, mail.Pending, 1)
}

// TestRefusedMails: an unknown recipient is given up at once, what may pass is tried again, but not for ever, and staff
// can try anew.
func TestRefusedMails(t *testing.T) {
	pool := dbtest.New(t)
	who := people.New(pool, people.NewKey())
	var token string
	require.NoError(t, who.Bootstrap(t.Context(), func(made string) error {
		token = made
		return nil
	}))
	admin, err := who.Tokens.UserOf(t.Context(), token)
	require.NoError(t, err)
	var open atomic.Bool
	sink := testpeer.Mail(t, func(s *testpeer.MailServer) {
		s.Refuse = func(address string) string {
			switch {
			case open.Load() || strings.HasPrefix(address, "good"):
				return ""
			case strings.HasPrefix(address, "unknown"):
				return "550 5.1.1 nobody of that name\x01"
			}
			return "450 4.2.1 the box is full"
		}
	})
	require.NoError(t, post(t.Context(), pool, mail.Message{
		To:      []string{"unknown@example.org", "full@example.org", "old@example.org", "good@example.org"},
		Subject: "s", Body: "b",
	}))
	_, err = pool.Exec(
		t.Context(), "UPDATE outbox SET created_at = now() - interval '3 days' WHERE recipient LIKE 'old%'",
	)
	require.NoError(t, err)
	mailer(t, pool, sink, nil)
	letters(t, sink, 1)
	untilMails(t, pool, mail.GivenUp, 2)
	untilMails(t, pool, mail.Sent, 1)
	untilMails(t, pool, mail.Pending, 1)

	mails, err := who.Mails.List(t.Context(), admin, 0, "", 10)
	require.NoError(t, err)
	byName := map[string]mail.Posted{}
	for _, m := range mails {
		byName[strings.TrimSuffix(m.Recipient, "@example.org")] = m
	}
	require.Equal(t, mail.GivenUp, byName["unknown"].Status)
	require.Contains(t, byName["unknown"].Error, "nobody of that name")
	require.Equal(t, mail.GivenUp, byName["old"].Status)
	require.Equal(t, mail.Pending, byName["full"].Status)
	require.Contains(t, byName["full"].Error, "the box is full")
	wait := time.Until(byName["full"].NextAt)
	require.True(t, wait > 30*time.Second && wait <= time.Minute, "%s", wait)

	open.Store(true)
	_, err = who.Mails.Retry(t.Context(), admin, byName["full"].ID)
	var conflict *refusal.Conflict
	require.ErrorAs(t, err, &conflict)
	_, err = who.Mails.Retry(t.Context(), admin, 4711)
	require.ErrorIs(t, err, refusal.ErrNotFound)
	_, err = who.Mails.Retry(t.Context(), admin, byName["unknown"].ID)
	require.NoError(t, err)
	require.Equal(t, []string{"unknown@example.org"}, letters(t, sink, 2)[1].To)
	var entries int
	require.NoError(
		t, pool.QueryRow(t.Context(), "SELECT count(*) FROM audit WHERE action = 'mail.retry'").Scan(&entries),
	)
	require.Equal(t, 1, entries)
}

// TestMailServerAway: while the mail server is not available the mails wait, and all of them arrive when it is back.
func TestMailServerAway(t *testing.T) {
	pool := dbtest.New(t)
	var up atomic.Bool
	sink := testpeer.Mail(t, func(s *testpeer.MailServer) {
		s.Gate = func(string) error {
			if up.Load() {
				return nil
			}
			return errors.New("out of order")
		}
	})
	for i := range 5 {
		require.NoError(t, post(
			t.Context(), pool, mail.Message{To: []string{fmt.Sprintf("u%d@example.org", i)}, Subject: "s", Body: "b"},
		))
	}
	mailer(t, pool, sink, nil)
	ctx, cancel := context.WithTimeout(t.Context(), mailDeadline)
	defer cancel()
	for failed := 0; failed == 0; {
		require.NoError(t, pool.QueryRow(ctx, "SELECT count(*) FROM outbox WHERE error <> ''").Scan(&failed))
	}
	require.Empty(t, sink.Letters())
	up.Store(true)
	_, err := pool.Exec(t.Context(), "UPDATE outbox SET next_at = now() WHERE status = 'pending'") // a minute later
	require.NoError(t, err)
	letters(t, sink, 5)
	untilMails(t, pool, mail.Sent, 5)
}

// TestMailersShare: several members send every mail once between them.
func TestMailersShare(t *testing.T) {
	pool := dbtest.New(t)
	sink := testpeer.Mail(t, nil)
	const n = 40
	to := make([]string, n)
	for i := range to {
		to[i] = fmt.Sprintf("u%d@example.org", i)
	}
	require.NoError(t, post(t.Context(), pool, mail.Message{To: to, Subject: "s", Body: "b"}))
	for range 3 {
		mailer(t, pool, sink, nil)
	}
	letters(t, sink, n)
	untilMails(t, pool, mail.Sent, n)
	seen := map[string]bool{}
	for _, l := range sink.Letters() {
		require.False(t, seen[l.MessageID], "twice")
		seen[l.MessageID] = true
	}
	require.Len(t, seen, n)
}

const (
	processEnv = "ADIT_TEST_MAILER"
	urlEnv     = "ADIT_TEST_DATABASE"
)

// TestMailerProcess is no test, but the process that TestMailerKilled kills.
func TestMailerProcess(t *testing.T) {
	port := os.Getenv(processEnv)
	if port == "" {
		t.Skip("runs as a process of TestMailerKilled only")
	}
	pool, err := db.Open(t.Context(), os.Getenv(urlEnv), db.Options{})
	require.NoError(t, err)
	require.NoError(t, post(t.Context(), pool, mail.Message{To: []string{"a@example.org"}, Subject: "s", Body: "b"}))
	fmt.Fprintln(os.Stdout, "committed")
	if port == "none" {
		select {}
	}
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	m, err := mail.New(pool, people.NewKey()).NewMailer(mail.Config{
		Host: "127.0.0.1", Port: number, TLS: mail.SMTPPlain,
		From: "adit@example.org", Poll: 10 * time.Millisecond, Lease: time.Second,
	}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	m.Run(t.Context())
}

// TestMailerKilled: kill -9 between the commit and the end of the sending. What was not sent is sent once; what was
// sent and not marked comes again under the same Message-ID, and no more than that.
func TestMailerKilled(t *testing.T) {
	for name, test := range map[string]struct {
		stage   string // at which the process is killed; empty: after its commit, before anything is sent
		letters int
	}{
		"before sending": {"", 1},
		"while sending":  {"greeting", 1},
		"before marking": {"taken", 2},
	} {
		t.Run(name, func(t *testing.T) {
			url := dbtest.URL(t)
			pool, err := db.Open(t.Context(), url, db.Options{})
			require.NoError(t, err)
			t.Cleanup(pool.Close)
			reached, first := make(chan struct{}), sync.Once{}
			release := make(chan struct{})
			sink := testpeer.Mail(t, func(s *testpeer.MailServer) {
				s.Gate = func(stage string) (err error) {
					if stage == test.stage {
						first.Do(func() {
							close(reached)
							<-release
							err = errors.New("its client was killed")
						})
					}
					return err
				}
			})
			port := strconv.Itoa(sink.Port)
			if test.stage == "" {
				port = "none"
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMailerProcess$")
			cmd.Env = append(os.Environ(), processEnv+"="+port, urlEnv+"="+url)
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			lines := bufio.NewScanner(out)
			for lines.Scan() && lines.Text() != "committed" {
			}
			if test.stage != "" {
				select {
				case <-reached:
				case <-time.After(mailDeadline):
					t.Error("the process did not send")
				}
			}
			require.NoError(t, cmd.Process.Kill())
			require.Error(t, cmd.Wait())
			close(release)

			mailer(t, pool, sink, nil)
			untilMails(t, pool, mail.Sent, 1)
			got := sink.Letters()
			require.Len(t, got, test.letters)
			for _, l := range got {
				require.Equal(t, got[0].MessageID, l.MessageID)
			}
		})
	}
}
