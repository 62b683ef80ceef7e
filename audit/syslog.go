// SPDX-License-Identifier: AGPL-3.0-or-later

package audit

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
)

// Syslog is a receiver of audit messages (PS3.15 A.6): syslog over TLS as in RFC 5425, messages as in RFC 5424.
type Syslog struct {
	Addr string // host:port
	TLS  *tls.Config
	Host string // name of this machine in the messages
}

const (
	syslogPause    = time.Second // between two looks for news
	syslogMaxPause = time.Minute // while the receiver is not available; doubles from syslogPause
	syslogBatch    = 200         // rows over one connection
	// for each step with the receiver; all of them end before another process takes over
	syslogPatience = 10 * time.Second
)

// Forward sends a receiver what the standard has to say of each row of the chain, in the order of the chain, until the
// context ends, and the head after each batch. Every process may run it; the database chooses who sends. A row counts
// as sent when the receiver has closed the connection after it: syslog knows no other sign that it was read. What was
// not confirmed is sent again, so a row may come twice, and none is left out. A receiver that is new gets what happens
// from then on. Nobody waits for it.
func (s *Service) Forward(ctx context.Context, to Syslog, log *slog.Logger) {
	holder := uuid.New()
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), syslogPatience)
		defer cancel()
		// it ends by itself
		_ = s.q.ReleaseAuditReceiver(ctx, db.ReleaseAuditReceiverParams{Receiver: to.Addr, Holder: holder})
	}()
	pause, failing := syslogPause, false
	for ctx.Err() == nil {
		more, err := s.forwardOnce(ctx, to, holder)
		switch {
		case err == nil:
			if failing {
				log.InfoContext(ctx, "audit messages are being sent again", "receiver", to.Addr)
			}
			pause, failing = syslogPause, false
		case ctx.Err() == nil:
			if !failing {
				log.WarnContext(
					ctx, "audit messages can't be sent; they are kept, and sent when the receiver accepts them",
					"receiver", to.Addr, "error", err,
				)
			}
			pause, failing = min(2*pause, syslogMaxPause), true
		}
		if more {
			continue
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// forwardOnce sends the next rows, if there are any and this process may; more tells that there are further ones.
func (s *Service) forwardOnce(ctx context.Context, to Syslog, holder uuid.UUID) (more bool, err error) {
	from, err := s.q.HoldAuditReceiver(ctx, db.HoldAuditReceiverParams{Receiver: to.Addr, Holder: holder})
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil // another process sends
	}
	if err != nil {
		return false, err
	}
	head, err := s.Head(ctx)
	if err != nil || head.Seq <= from {
		return false, err
	}
	rows, err := s.q.SealedAudit(ctx, db.SealedAuditParams{After: from, UpTo: head.Seq, Most: syslogBatch})
	if err != nil || len(rows) == 0 {
		return false, err
	}
	last := rows[len(rows)-1]
	var out bytes.Buffer
	for _, row := range rows {
		if err := to.frame(&out, rowOf(row)); err != nil {
			return false, err
		}
	}
	to.frameHead(&out, rowOf(last), Head{Seq: *last.Seq, Hash: [32]byte(last.Hash)})
	if err := to.send(ctx, out.Bytes()); err != nil {
		return false, err
	}
	n, err := s.q.MoveAuditReceiver(ctx, db.MoveAuditReceiverParams{
		Receiver: to.Addr, Holder: holder, FromSeq: from, ToSeq: *last.Seq,
	})
	if err == nil && n == 0 {
		err = errors.New("another process sent the same audit messages in the meantime")
	}
	return err == nil && *last.Seq < head.Seq, err
}

// Priorities: facility 10 (security/authorization), severity 5 (notice) or 4 (warning).
const (
	priorityNotice  = 85
	priorityWarning = 84
)

// The kinds of messages (MSGID). headKind is none of DICOM's, which PS3.15 A.6 allows on the same connection.
const (
	auditKind = "DICOM+RFC3881"
	headKind  = "ADIT-AUDIT-HEAD"
)

// xmlDeclaration has no end of line, other than xml.Header: receivers that keep a message in a line write something
// else for it (rsyslogd: #012), and it is no XML any more. In values an end of line is a reference.
const xmlDeclaration = `<?xml version="1.0" encoding="UTF-8"?>`

// frame adds what the standard has to say of a row.
func (s Syslog) frame(out *bytes.Buffer, r Row) error {
	m, ok := message(r, s.Host)
	if !ok {
		return nil
	}
	text, err := xml.Marshal(m)
	if err != nil {
		return fmt.Errorf("row %d of the audit log can't be turned into a message: %w", r.Seq, err)
	}
	priority := priorityNotice
	if m.Event.Outcome != outcomeSuccess {
		priority = priorityWarning
	}
	s.put(out, priority, auditKind, r, xmlDeclaration+string(text))
	return nil
}

// frameHead adds the head: its receiver can prove later that nothing before was changed or cut off.
func (s Syslog) frameHead(out *bytes.Buffer, r Row, head Head) {
	s.put(out, priorityNotice, headKind, r, "adit audit head "+head.String())
}

// put adds a message in a frame of RFC 5425: its length in bytes, a blank, the message. sequenceId is the row's place
// in the chain (RFC 5424 7.3.1).
func (s Syslog) put(out *bytes.Buffer, priority int, kind string, r Row, text string) {
	const most = 1<<31 - 1
	message := fmt.Sprintf("<%d>1 %s %s adit %d %s [meta sequenceId=\"%d\"] \ufeff%s",
		priority, r.At.UTC().Format("2006-01-02T15:04:05.000000Z"),
		hostName(s.Host), os.Getpid(), kind, (r.Seq-1)%most+1, text)
	fmt.Fprintf(out, "%d %s", len(message), message)
}

// hostName keeps to what RFC 5424 allows in a header.
func hostName(name string) string {
	clean := bytes.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '-'
		}
		return r
	}, []byte(name))
	if len(clean) == 0 {
		return "-"
	}
	return string(clean[:min(len(clean), 255)])
}

// send brings messages to the receiver and waits until it has closed the connection in answer to our close_notify: then
// it has read them all.
func (s Syslog) send(ctx context.Context, messages []byte) error {
	ctx, cancel := context.WithTimeout(ctx, syslogPatience)
	defer cancel()
	dialed, err := (&tls.Dialer{NetDialer: &net.Dialer{}, Config: s.TLS}).DialContext(ctx, "tcp", s.Addr)
	if _, untrusted := errors.AsType[*tls.CertificateVerificationError](err); untrusted {
		return fmt.Errorf("the receiver's certificate is not trusted, and nothing was sent: check who signed it "+
			"(--audit-syslog-ca) and its name (--audit-syslog): %w", err)
	}
	if err != nil {
		return err
	}
	conn, ok := dialed.(*tls.Conn)
	if !ok {
		panic("a tls.Dialer gives a tls.Conn") // it is documented so
	}
	defer func() { _ = conn.Close() }() // nothing is lost with it: confirmed is confirmed
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	if _, err := conn.Write(messages); err != nil {
		return unread(err)
	}
	if err := conn.CloseWrite(); err != nil {
		return unread(err)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(conn, 1<<20))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("the receiver does not close the connection after close_notify (RFC 5425 4.4), so it "+
			"is unknown whether it read the messages: %w", err)
	case err != nil:
		return unread(err)
	}
	return taken(ctx, conn.NetConn())
}

// unread says what happened to a connection. In TLS 1.3 a receiver that does not take our certificate ends it after we
// have begun to send, and many don't say why.
func unread(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the receiver does not read the messages: %w", err)
	}
	return fmt.Errorf("the receiver closed the connection before it had read all messages; if this continues, "+
		"check its log for whether it trusts ADIT's certificate (--audit-syslog-cert): %w", err)
}

// ackPause is how often the kernel is asked whether all bytes are acknowledged.
const ackPause = 2 * time.Millisecond

// taken tells whether a receiver that has closed its end had read everything by then. One that was ended in between has
// closed as well, but its kernel then refuses what was not read: by a reset instead of an orderly end, or after it.
func taken(ctx context.Context, conn net.Conn) error {
	if _, err := io.Copy(io.Discard, conn); err != nil {
		return unread(err)
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		panic("a net.Dialer gives a *net.TCPConn for tcp") // it is documented so
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	for {
		var waiting int
		var failure syscall.Errno
		cerr := raw.Control(func(fd uintptr) { waiting, failure, err = unacknowledged(fd) })
		switch err := errors.Join(err, cerr); {
		case err != nil:
			return err
		case failure != 0:
			return unread(failure)
		case waiting == 0:
			return nil
		}
		timer := time.NewTimer(ackPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return unread(ctx.Err())
		}
	}
}
