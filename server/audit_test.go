// SPDX-License-Identifier: AGPL-3.0-or-later

package server

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/internal/testpeer"
)

func TestAuditSyslogFlags(t *testing.T) {
	authority := testpeer.NewAuthority(t)
	own := authority.Issue(t, "localhost")
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))

	to, err := AuditConfig{
		AuditSyslog: "audit.example.org:6514", AuditSyslogCA: authority.File,
		AuditSyslogCert: own.CertificateFile, AuditSyslogKey: own.KeyFile,
	}.syslog()
	require.NoError(t, err)
	require.NotNil(t, to.TLS.RootCAs)
	shown, err := to.TLS.GetClientCertificate(nil)
	require.NoError(t, err)
	require.NotNil(t, shown.PrivateKey)
	to, err = AuditConfig{}.syslog()
	require.NoError(t, err)
	require.Empty(t, to.Addr)

	for want, f := range map[string]AuditConfig{
		"a host and a port":      {AuditSyslog: "audit.example.org"},
		"holds no certificate":   {AuditSyslog: "a:1", AuditSyslogCA: empty},
		"no such file":           {AuditSyslog: "a:1", AuditSyslogCA: empty + "x"},
		"belong together":        {AuditSyslog: "a:1", AuditSyslogCert: own.CertificateFile},
		"did find a private key": {AuditSyslog: "a:1", AuditSyslogCert: own.KeyFile, AuditSyslogKey: empty},
		"need --audit-syslog":    {AuditSyslogCA: authority.File},
	} {
		_, err := f.syslog()
		require.ErrorContains(t, err, want)
	}
}
