// SPDX-License-Identifier: AGPL-3.0-or-later

package testpeer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Rsyslog is an rsyslogd that takes syslog over TLS (RFC 5425) on loopback, wants to see a certificate of its
// authority, and keeps what it took. It is set up as docs/admin.md tells, but for the template, which writes what
// rsyslogd made of a message beside the message.
type Rsyslog struct {
	Addr string // host:port

	dir, config string
	port        int
	process     *Process
}

// SyslogMessage is a message as rsyslogd parsed it (RFC 5424).
type SyslogMessage struct {
	Raw       string `json:"rawmsg"` // as received
	Priority  string `json:"pri"`
	Facility  string `json:"syslogfacility-text"` // in words
	Severity  string `json:"syslogseverity-text"` // in words
	Timestamp string `json:"timereported"`        // RFC 3339
	Host      string `json:"hostname"`
	App       string `json:"app-name"`
	Process   string `json:"procid"`
	Kind      string `json:"msgid"`           // MSGID
	Data      string `json:"structured-data"` // STRUCTURED-DATA
	Text      string `json:"msg"`             // MSG
}

// NewRsyslog starts an rsyslogd that ends with the test. driver is its TLS library: gtls or ossl.
func NewRsyslog(t testing.TB, driver string, authority *Authority, own *Identity) *Rsyslog {
	t.Helper()
	r := &Rsyslog{dir: t.TempDir(), port: Port(t)}
	r.Addr, r.config = fmt.Sprintf("127.0.0.1:%d", r.port), filepath.Join(r.dir, "rsyslog.conf")
	var properties strings.Builder
	for _, name := range []string{
		"rawmsg", "pri", "syslogfacility-text", "syslogseverity-text",
		"hostname", "app-name", "procid", "msgid", "structured-data", "msg",
	} {
		fmt.Fprintf(&properties, "  property(outname=%[1]q name=%[1]q format=\"jsonf\")\n", name)
	}
	config := fmt.Sprintf(`global(workDirectory=%[1]q maxMessageSize="64k"
  defaultNetstreamDriverCAFile=%[2]q defaultNetstreamDriverCertFile=%[3]q defaultNetstreamDriverKeyFile=%[4]q)
module(load="imtcp" streamDriver.name=%[5]q streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
template(name="message" type="list" option.jsonf="on") {
%[6]s  property(outname="timereported" name="timereported" dateformat="rfc3339" format="jsonf")
}
ruleset(name="audit") { action(type="omfile" file="%[1]s/messages" template="message") }
input(type="imtcp" address="127.0.0.1" port="%[7]d" ruleset="audit")
`, r.dir, authority.File, own.CertificateFile, own.KeyFile, driver, properties.String(), r.port)
	require.NoError(t, os.WriteFile(r.config, []byte(config), 0o600))
	r.Start(t)
	return r
}

// Start starts it again after Stop, at the same address.
func (r *Rsyslog) Start(t testing.TB) {
	t.Helper()
	r.process = Start(t, nil, r.port, "rsyslogd", "-n", "-f", r.config, "-i", filepath.Join(r.dir, "pid"))
}

// Stop ends it as the system does that it runs on. What it has taken is in its file then.
func (r *Rsyslog) Stop(t testing.TB) {
	t.Helper()
	r.process.End(t, syscall.SIGTERM)
}

// Messages returns what it took so far, in the order in which it came.
func (r *Rsyslog) Messages(t testing.TB) []SyslogMessage {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, "messages"))
	if err != nil {
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
	var messages []SyslogMessage
	for line := range bytes.Lines(text) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // it is writing
		}
		var m SyslogMessage
		require.NoError(t, json.Unmarshal(line, &m), string(line))
		messages = append(messages, m)
	}
	return messages
}
