// SPDX-License-Identifier: AGPL-3.0-or-later

package testpeer

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"io"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Letter is a mail that a mail server took.
type Letter struct {
	From      string   // of the envelope
	To        []string // of the envelope
	MessageID string
	Header    mail.Header
	Body      string // decoded
	TLS       bool   // it came encrypted
}

// MailServer is an SMTP server (RFC 5321) on loopback that keeps what it takes.
type MailServer struct {
	Host string
	Port int
	// Refuse, if not nil, gives what is answered to a RCPT for an address, as in "550 5.1.1 nobody of that name";
	// empty: it is taken.
	Refuse func(address string) string
	// Gate, if not nil, is called before the greeting is given ("greeting"), when a mail has come in and is not
	// acknowledged yet ("taken"). An error closes the connection in the place of the answer.
	Gate func(stage string) error
	// TLS, if not nil, is what STARTTLS begins.
	TLS *tls.Config
	// User and Password, if not empty, are asked for by AUTH PLAIN.
	User, Password string

	l       net.Listener
	mu      sync.Mutex
	letters []Letter
	conns   map[net.Conn]bool
	changed chan struct{}
	all     sync.WaitGroup
}

// Mail starts a mail server, after change has had its way with it; it ends with the test.
func Mail(t testing.TB, change func(*MailServer)) *MailServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &MailServer{Host: "127.0.0.1", l: l, conns: map[net.Conn]bool{}, changed: make(chan struct{})}
	s.Port = l.Addr().(*net.TCPAddr).Port
	if change != nil {
		change(s)
	}
	s.all.Go(s.accept)
	t.Cleanup(s.Close)
	return s
}

// Close ends the server and every connection.
func (s *MailServer) Close() {
	_ = s.l.Close()
	s.mu.Lock()
	for conn := range s.conns {
		_ = conn.Close()
	}
	s.mu.Unlock()
	s.all.Wait()
}

// Letters returns what was taken so far.
func (s *MailServer) Letters() []Letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Letter(nil), s.letters...)
}

// Wait waits until there are n letters.
func (s *MailServer) Wait(ctx context.Context, n int) ([]Letter, error) {
	for {
		s.mu.Lock()
		letters, changed := append([]Letter(nil), s.letters...), s.changed
		s.mu.Unlock()
		if len(letters) >= n {
			return letters, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return letters, ctx.Err()
		}
	}
}

func (s *MailServer) accept() {
	for {
		conn, err := s.l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[conn] = true
		s.mu.Unlock()
		s.all.Go(func() {
			defer func() {
				_ = conn.Close()
				s.mu.Lock()
				delete(s.conns, conn)
				s.mu.Unlock()
			}()
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			(&smtpSession{s: s, conn: conn, text: textproto.NewConn(conn)}).serve()
		})
	}
}

func (s *MailServer) gate(stage string) error {
	if s.Gate == nil {
		return nil
	}
	return s.Gate(stage)
}

type smtpSession struct {
	s      *MailServer
	conn   net.Conn
	text   *textproto.Conn
	secure bool
	authed bool
	letter Letter
}

func (c *smtpSession) serve() {
	if c.s.gate("greeting") != nil {
		return
	}
	if c.say("220 sink.test ESMTP") != nil {
		return
	}
	for {
		line, err := c.text.ReadLine()
		if err != nil || !c.command(line) {
			return
		}
	}
}

func (c *smtpSession) say(line string) error { return c.text.PrintfLine("%s", line) }

// command answers a line; false: the connection ends.
func (c *smtpSession) command(line string) bool {
	verb, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO", "HELO":
		return c.hello()
	case "STARTTLS":
		return c.startTLS()
	case "AUTH":
		want := base64.StdEncoding.EncodeToString([]byte("\x00" + c.s.User + "\x00" + c.s.Password))
		if c.authed = rest == "PLAIN "+want; !c.authed {
			return c.say("535 5.7.8 not you") == nil
		}
		return c.say("235 2.7.0 welcome") == nil
	case "MAIL":
		if c.s.User != "" && !c.authed {
			return c.say("530 5.7.0 log in first") == nil
		}
		c.letter = Letter{From: address(rest), TLS: c.secure}
	case "RCPT":
		to := address(rest)
		if c.s.Refuse != nil {
			if refusal := c.s.Refuse(to); refusal != "" {
				return c.say(refusal) == nil
			}
		}
		c.letter.To = append(c.letter.To, to)
	case "DATA":
		return c.data()
	case "QUIT":
		_ = c.say("221 bye")
		return false
	}
	return c.say("250 2.0.0 ok") == nil
}

func (c *smtpSession) hello() bool {
	lines := []string{"250-sink.test", "250-8BITMIME"}
	if c.s.TLS != nil && !c.secure {
		lines = append(lines, "250-STARTTLS")
	}
	if c.s.User != "" {
		lines = append(lines, "250-AUTH PLAIN")
	}
	for _, line := range append(lines, "250 ENHANCEDSTATUSCODES") {
		if c.say(line) != nil {
			return false
		}
	}
	return true
}

func (c *smtpSession) startTLS() bool {
	if c.s.TLS == nil {
		return c.say("502 not here") == nil
	}
	if c.say("220 go ahead") != nil {
		return false
	}
	secured := tls.Server(c.conn, c.s.TLS)
	if secured.Handshake() != nil {
		return false
	}
	c.text, c.secure = textproto.NewConn(secured), true
	return true
}

func (c *smtpSession) data() bool {
	if c.say("354 go on") != nil {
		return false
	}
	raw, err := c.text.ReadDotBytes()
	if err != nil {
		return false
	}
	msg, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return c.say("554 5.6.0 this is no mail") == nil
	}
	body := msg.Body
	if strings.EqualFold(msg.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return c.say("554 5.6.0 this is no mail") == nil
	}
	c.letter.Header, c.letter.MessageID, c.letter.Body = msg.Header, msg.Header.Get("Message-Id"),
		strings.ReplaceAll(string(text), "\r\n", "\n")
	c.s.mu.Lock()
	c.s.letters = append(c.s.letters, c.letter)
	close(c.s.changed)
	c.s.changed = make(chan struct{})
	c.s.mu.Unlock()
	if c.s.gate("taken") != nil {
		return false
	}
	return c.say("250 2.0.0 taken as "+strconv.Itoa(len(raw))+" bytes") == nil
}

// address takes the address out of "FROM:<a@b> BODY=8BITMIME".
func address(rest string) string {
	_, rest, _ = strings.Cut(rest, "<")
	rest, _, _ = strings.Cut(rest, ">")
	return rest
}
