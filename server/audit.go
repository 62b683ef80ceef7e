// SPDX-License-Identifier: AGPL-3.0-or-later

package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"sync"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/files"
)

// syslog returns the receiver that it names; none without an address.
func (c AuditConfig) syslog() (audit.Syslog, error) {
	to := audit.Syslog{Addr: c.AuditSyslog, TLS: &tls.Config{MinVersion: tls.VersionTLS12}, Host: machineName()}
	if to.Addr == "" {
		if c.AuditSyslogCA != "" || c.AuditSyslogCert != "" || c.AuditSyslogKey != "" {
			return to, usage("--audit-syslog-ca, --audit-syslog-cert and --audit-syslog-key need --audit-syslog")
		}
		return to, nil
	}
	if host, port, err := net.SplitHostPort(to.Addr); err != nil || host == "" || port == "" {
		return to, usage("--audit-syslog: give a host and a port, as in audit.example.org:6514")
	}
	if c.AuditSyslogCA != "" {
		text, err := os.ReadFile(c.AuditSyslogCA)
		if err != nil {
			return to, fmt.Errorf("--audit-syslog-ca: %w", err)
		}
		to.TLS.RootCAs = x509.NewCertPool()
		if !to.TLS.RootCAs.AppendCertsFromPEM(text) {
			return to, usage("--audit-syslog-ca: %s holds no certificate in PEM", c.AuditSyslogCA)
		}
	}
	if (c.AuditSyslogCert == "") != (c.AuditSyslogKey == "") {
		return to, usage("--audit-syslog-cert and --audit-syslog-key belong together")
	}
	if c.AuditSyslogCert == "" {
		return to, nil
	}
	// at each connection: a new one needs no restart
	load := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if err := files.CheckSecretFile(c.AuditSyslogKey); err != nil {
			return nil, err
		}
		pair, err := tls.LoadX509KeyPair(c.AuditSyslogCert, c.AuditSyslogKey)
		return &pair, err
	}
	to.TLS.GetClientCertificate = load
	if _, err := load(nil); err != nil {
		return to, usage("--audit-syslog-cert: %w", err)
	}
	return to, nil
}

// startAudit writes to the audit log that this process has started, and has it seal the log, and send it to its
// receiver, if no other one does.
func (s *server) startAudit(ctx context.Context) error {
	to, err := s.cfg.Audit.syslog()
	if err != nil {
		return err
	}
	auditLog := s.people.Audit()
	if err := auditLog.AddMonths(ctx); err != nil { // before the first row, after a long time
		return err
	}
	if err := s.recordActivity(ctx, audit.ActStart); err != nil {
		return err
	}
	sealing, stop := context.WithCancel(context.WithoutCancel(ctx))
	var parts sync.WaitGroup
	parts.Go(func() { auditLog.Seal(sealing, s.log, s.audited) })
	if to.Addr != "" {
		parts.Go(func() { auditLog.Forward(sealing, to, s.log) })
	}
	s.atEnd(func() { //nolint:contextcheck // the end has time of its own
		stop()
		parts.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), endGrace)
		defer cancel()
		err := s.recordActivity(ctx, audit.ActStop)
		if err == nil {
			_, err = auditLog.SealOnce(ctx)
		}
		if err != nil {
			s.log.Error("the stop of this process could not be written to the audit log", "error", err)
		}
	})
	return nil
}

func (s *server) recordActivity(ctx context.Context, act string) error {
	return audit.Record(ctx, db.New(s.pool), audit.Entry{
		Action: act, Object: "member " + s.name,
		Detail: map[string]any{"version": s.cfg.About.Version, "process": os.Getpid()},
	})
}
