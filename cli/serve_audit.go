// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"sync"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/people"
)

// auditFlags say where audit messages go.
type auditFlags struct {
	AuditSyslog     string `env:"ADIT_AUDIT_SYSLOG" placeholder:"HOST:PORT" help:"Receiver of audit messages (DICOM PS3.15 A.5, syslog over TLS). It gets what happens from then on, at least once and in order."`
	AuditSyslogCA   string `name:"audit-syslog-ca" env:"ADIT_AUDIT_SYSLOG_CA" type:"path" placeholder:"FILE" help:"PEM file with the authorities that sign its certificate (those of this machine)."`
	AuditSyslogCert string `env:"ADIT_AUDIT_SYSLOG_CERT" type:"path" placeholder:"FILE" help:"PEM file with the certificate that ADIT shows it."`
	AuditSyslogKey  string `env:"ADIT_AUDIT_SYSLOG_KEY" type:"path" placeholder:"FILE" help:"PEM file with its private key, without a password."`
}

// syslog gives the receiver that the flags name; none without an address.
func (f auditFlags) syslog() (people.Syslog, error) {
	to := people.Syslog{Addr: f.AuditSyslog, TLS: &tls.Config{MinVersion: tls.VersionTLS12}, Host: hostName()}
	if to.Addr == "" {
		if f.AuditSyslogCA != "" || f.AuditSyslogCert != "" || f.AuditSyslogKey != "" {
			return to, usage("--audit-syslog-ca, --audit-syslog-cert and --audit-syslog-key need --audit-syslog")
		}
		return to, nil
	}
	if host, port, err := net.SplitHostPort(to.Addr); err != nil || host == "" || port == "" {
		return to, usage("--audit-syslog: give a host and a port, as in audit.example.org:6514")
	}
	if f.AuditSyslogCA != "" {
		text, err := os.ReadFile(f.AuditSyslogCA)
		if err != nil {
			return to, fmt.Errorf("--audit-syslog-ca: %w", err)
		}
		to.TLS.RootCAs = x509.NewCertPool()
		if !to.TLS.RootCAs.AppendCertsFromPEM(text) {
			return to, usage("--audit-syslog-ca: %s holds no certificate in PEM", f.AuditSyslogCA)
		}
	}
	if (f.AuditSyslogCert == "") != (f.AuditSyslogKey == "") {
		return to, usage("--audit-syslog-cert and --audit-syslog-key belong together")
	}
	if f.AuditSyslogCert == "" {
		return to, nil
	}
	load := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { // at each connection: a new one needs no restart
		pair, err := tls.LoadX509KeyPair(f.AuditSyslogCert, f.AuditSyslogKey)
		return &pair, err
	}
	to.TLS.GetClientCertificate = load
	if _, err := load(nil); err != nil {
		return to, usage("--audit-syslog-cert: %w", err)
	}
	return to, nil
}

// startAudit writes to the audit log that this process has started, and has it seal the log, and send it to its receiver, if no other
// one does.
func (s *server) startAudit(ctx context.Context) error {
	to, err := s.cmd.syslog()
	if err != nil {
		return err
	}
	audit := s.people.Audit()
	if err := audit.AddMonths(ctx); err != nil { // before the first row, after a long time
		return err
	}
	if err := s.recordActivity(ctx, people.ActStart); err != nil {
		return err
	}
	sealing, stop := context.WithCancel(context.WithoutCancel(ctx))
	var parts sync.WaitGroup
	parts.Go(func() { audit.Seal(sealing, s.log) })
	if to.Addr != "" {
		parts.Go(func() { audit.Forward(sealing, to, s.log) })
	}
	s.atEnd(func() { //nolint:contextcheck // the end has time of its own
		stop()
		parts.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), endGrace)
		defer cancel()
		err := s.recordActivity(ctx, people.ActStop)
		if err == nil {
			_, err = audit.SealOnce(ctx)
		}
		if err != nil {
			s.log.Error("the end of this process is not in the audit log", "error", err)
		}
	})
	return nil
}

func (s *server) recordActivity(ctx context.Context, act string) error {
	return people.Record(ctx, db.New(s.pool), people.Entry{Action: act, Object: "node " + hostName(), Detail: map[string]any{"version": version, "process": os.Getpid()}})
}

// hostName is this machine's name.
func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}
