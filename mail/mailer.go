// SPDX-License-Identifier: AGPL-3.0-or-later

package mail

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	netmail "net/mail"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"
	gomail "github.com/wneessen/go-mail"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/text"
)

// How a Mailer talks to its mail server.
const (
	SMTPStartTLS = "starttls" // nothing is sent before TLS has begun
	SMTPTLS      = "tls"      // from the first byte
	SMTPPlain    = "none"
)

// Config describes the mail server. Host and From are required.
type Config struct {
	Host           string
	Port           int    // 0: 587, 465 or 25, as TLS goes
	TLS            string // SMTPStartTLS when empty
	User, Password string // empty: the server asks for none
	From           string // address, with or without a name: "ADIT <adit@example.org>"
	PublicURL      string // of ADIT, for links; empty: mails hold none
	TLSConfig      *tls.Config
	Poll           time.Duration // between two looks for mails that are due; 5 s
	Lease          time.Duration // for one mail, until another member may take it; 2 min
}

const (
	defaultPoll  = 5 * time.Second
	defaultLease = 2 * time.Minute
	smtpTimeout  = 30 * time.Second // for a connection, and for a mail
	firstPause   = time.Minute      // doubles with each attempt
	longestPause = time.Hour
	// Patience is how long a mail is tried before it is given up.
	Patience = 72 * time.Hour
	maxError = 500
)

// Mailer delivers the outbox. Each member may run one; only one of them handles a mail at a time.
type Mailer struct {
	svc  *Service
	log  *slog.Logger
	cfg  Config
	from *netmail.Address
	opts []gomail.Option

	conn *gomail.Client // nil: none is open
}

// NewMailer checks the configuration; nothing is sent before Run. It is called once, before the first request.
func (s *Service) NewMailer(cfg Config, log *slog.Logger) (*Mailer, error) {
	from, err := netmail.ParseAddress(cfg.From)
	if err != nil || ValidAddress(from.Address) != nil {
		return nil, errors.New("the sender address of mails is invalid; give one such as adit@example.org")
	}
	cfg.Poll, cfg.Lease = cmp.Or(cfg.Poll, defaultPoll), cmp.Or(cfg.Lease, defaultLease)
	m := &Mailer{svc: s, log: log, cfg: cfg, from: from}
	m.opts = []gomail.Option{gomail.WithTimeout(smtpTimeout)}
	port := cfg.Port
	switch cfg.TLS {
	case "", SMTPStartTLS:
		m.opts, port = append(m.opts, gomail.WithTLSPolicy(gomail.TLSMandatory)), cmp.Or(port, 587)
	case SMTPTLS:
		m.opts, port = append(m.opts, gomail.WithSSL()), cmp.Or(port, 465)
	case SMTPPlain:
		m.opts, port = append(m.opts, gomail.WithTLSPolicy(gomail.NoTLS)), cmp.Or(port, 25)
	default:
		return nil, fmt.Errorf("the security of the mail connection must be %s, %s or %s", SMTPStartTLS, SMTPTLS, SMTPPlain)
	}
	m.opts = append(m.opts, gomail.WithPort(port))
	if cfg.TLSConfig != nil {
		m.opts = append(m.opts, gomail.WithTLSConfig(cfg.TLSConfig))
	}
	if cfg.User != "" {
		if cfg.TLS == SMTPPlain {
			return nil, errors.New("ADIT sends no password to a mail server without TLS; use TLS there, or no user")
		}
		m.opts = append(
			m.opts, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover),
			gomail.WithUsername(cfg.User), gomail.WithPassword(cfg.Password),
		)
	}
	if _, err := gomail.NewClient(cfg.Host, m.opts...); err != nil {
		return nil, fmt.Errorf("the mail server can't be used: %w", err)
	}
	s.sends = true
	return m, nil
}

// Run delivers what is due until the context ends.
func (m *Mailer) Run(ctx context.Context) {
	defer m.hangUp()
	for {
		err := m.deliver(ctx)
		m.hangUp()
		if err != nil && ctx.Err() == nil {
			m.log.WarnContext(ctx, "mails wait", "reason", err)
		}
		timer := time.NewTimer(m.cfg.Poll)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// deliver sends mails until none is due, or the mail server is not available.
func (m *Mailer) deliver(ctx context.Context) error {
	for ctx.Err() == nil {
		row, err := m.svc.q.ClaimMail(ctx, m.cfg.Lease.Seconds())
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		sent := m.send(ctx, row)
		// The end of the context must not leave behind a mail that went out and isn't marked.
		if err := m.end(context.WithoutCancel(ctx), row, sent); err != nil {
			return err
		}
		if sent != nil && m.conn == nil {
			return sent
		}
	}
	return nil
}

// send gives a mail to the mail server.
func (m *Mailer) send(ctx context.Context, row db.ClaimMailRow) error {
	msg, err := m.message(row)
	if err != nil {
		return err
	}
	if m.conn == nil {
		conn, err := gomail.NewClient(m.cfg.Host, m.opts...)
		if err != nil {
			return err
		}
		if err := conn.DialWithContext(ctx); err != nil {
			return fmt.Errorf("the mail server is not available: %w", err)
		}
		m.conn = conn
	}
	err = m.conn.Send(msg)
	if msg.IsDelivered() {
		err = nil // only what follows a mail went wrong
	}
	if err != nil {
		if refused, ok := errors.AsType[*gomail.SendError](err); !ok || refused.ErrorCode() == 0 {
			m.hangUp() // the connection itself failed
		}
	}
	return err
}

func (m *Mailer) hangUp() {
	if m.conn != nil {
		_ = m.conn.Close() // the mails that it took are taken
		m.conn = nil
	}
}

func (m *Mailer) message(row db.ClaimMailRow) (*gomail.Msg, error) {
	subject, body := row.Subject, row.Body
	if row.JobEnd != nil {
		var end jobEnd
		if err := json.Unmarshal(row.JobEnd, &end); err != nil {
			return nil, fmt.Errorf("the stored notice about the job's end is damaged: %w", err)
		}
		subject, body = end.subject(), end.body(m.cfg.PublicURL)
	}
	if row.Sealed != nil {
		text, err := m.svc.key.Open(purpose, row.Sealed)
		if err != nil {
			return nil, err
		}
		body = string(text)
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(m.from)
	if err := msg.To(row.Recipient); err != nil {
		return nil, err
	}
	_, host, _ := strings.Cut(m.from.Address, "@")
	msg.SetMessageIDWithValue(row.MessageID.String() + "@" + host)
	msg.SetDateWithValue(row.CreatedAt)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no machine answers
	msg.Subject(text.Visible(subject))
	msg.SetBodyString(gomail.TypeTextPlain, text.Lines(strings.ReplaceAll(body, "\r\n", "\n")))
	return msg, nil
}

// end writes down what became of an attempt.
func (m *Mailer) end(ctx context.Context, row db.ClaimMailRow, sent error) error {
	ctx, cancel := context.WithTimeout(ctx, smtpTimeout)
	defer cancel()
	p := db.EndMailParams{ID: row.ID, Attempts: row.Attempts, Status: Sent}
	if sent != nil {
		p.Status, p.Error = Pending, plainWords(sent.Error())
		p.WaitSeconds = pauseAfter(row.Attempts).Seconds()
		if row.AgeSeconds+p.WaitSeconds > Patience.Seconds() || refusedForGood(sent) {
			p.Status = GivenUp
		}
		m.log.WarnContext(
			ctx, "a mail was not delivered", "mail", row.ID, "attempt",
			row.Attempts, "state", p.Status, "reason", p.Error,
		)
	}
	n, err := m.svc.q.EndMail(ctx, p)
	if err == nil && n == 0 {
		m.log.WarnContext(
			ctx, "sending a mail took so long that another member took it over; it may arrive twice, with one Message-ID",
			"mail", row.ID,
		)
	}
	return err
}

// pauseAfter is how long a mail waits after so many attempts.
func pauseAfter(attempts int32) time.Duration {
	return min(longestPause, firstPause<<min(attempts-1, 10))
}

// refusedForGood reports whether the mail server knows the recipient and won't have them: another attempt changes
// nothing.
func refusedForGood(err error) bool {
	refused, ok := errors.AsType[*gomail.SendError](err)
	return ok && refused.Reason == gomail.ErrSMTPRcptTo && !refused.IsTemp() && refused.ErrorCode() >= 500
}

// plainWords makes what a mail server said fit for the database and for a screen.
func plainWords(words string) string {
	words = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(words, "?"))
	if words = text.Visible(words); len(words) > maxError {
		words = strings.ToValidUTF8(words[:maxError], "") + "…"
	}
	return words
}

// jobEnd is what the database keeps of a job that ended, for its owner's mail (migration 00012).
type jobEnd struct {
	Job         int64  `json:"job"`
	Status      string `json:"status"`
	Source      string `json:"source"`
	Destination string `json:"destination"`
	Success     int    `json:"success"`
	Warning     int    `json:"warning"`
	Failure     int    `json:"failure"`
	Canceled    int    `json:"canceled"`
}

func (j jobEnd) status() string { return strings.ToUpper(j.Status[:1]) + j.Status[1:] }

func (j jobEnd) subject() string { return fmt.Sprintf("ADIT job %d: %s", j.Job, j.status()) }

func (j jobEnd) body(publicURL string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Your job %d", j.Job)
	if j.Source != "" && j.Destination != "" {
		fmt.Fprintf(&b, " from %s to %s", j.Source, j.Destination)
	}
	fmt.Fprintf(&b, " has ended: %s.\n\n", j.status())
	for _, line := range []struct {
		n    int
		what string
	}{
		{j.Success, "succeeded"}, {j.Warning, "ended with a warning"}, {j.Failure, "failed"}, {j.Canceled, "canceled"},
	} {
		switch {
		case line.n == 1:
			fmt.Fprintf(&b, "1 task %s.\n", line.what)
		case line.n > 1:
			fmt.Fprintf(&b, "%d tasks %s.\n", line.n, line.what)
		}
	}
	if publicURL != "" {
		fmt.Fprintf(&b, "\n%s/jobs/%d\n", strings.TrimSuffix(publicURL, "/"), j.Job)
	}
	b.WriteString("\nYou get this mail because it was requested when the job was made.\n")
	return b.String()
}
