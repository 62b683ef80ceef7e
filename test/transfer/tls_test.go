// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/engine/doctor"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/harness"
)

// secureWith returns settings of a server that trusts an authority and shows an identity, if there is one.
func secureWith(ca *testpeer.Authority, own *testpeer.Identity) nodes.TLS {
	t := nodes.TLS{Use: true, Authorities: string(ca.PEM)}
	if own != nil {
		t.Certificate, t.Key = string(own.Certificate), string(own.Key)
	}
	return t
}

func secured(t nodes.TLS) func(*nodes.NewServer) {
	return func(s *nodes.NewServer) { s.TLS = t }
}

// TestTLS: a whole transfer from Orthanc to storescp, which speak nothing but TLS and look at our certificate. The
// older profile is for a destination that has nothing better.
func TestTLS(t *testing.T) {
	c := newCorpus(t)
	c.addPhantoms(t, dict.RLELossless)
	ca := testpeer.NewAuthority(t)
	ours, theirs := ca.Issue(t, "adit.example"), ca.Issue(t, "localhost")
	orthanc := testpeer.Orthanc(t, noDelay, map[string]any{
		"DicomTlsEnabled": true, "DicomTlsPrivateKey": theirs.KeyFile, "DicomTlsCertificate": theirs.CertificateFile,
		"DicomTlsTrustedCertificates": ca.File,
	})
	for _, file := range c.files {
		orthanc.Upload(t, file)
	}
	for name, profile := range map[string]struct{ ours, theirs string }{
		"today's": {"", "+py"}, "an older one": {nodes.ProfileBCP195, "+px"},
		"an old device": {nodes.ProfileBCP195, "+pa"},
	} {
		t.Run(name, func(t *testing.T) {
			n, dir := harness.New(t, harness.Config{}), t.TempDir()
			n.AddServer("source", "ORTHANC", orthanc.Addr, secured(secureWith(ca, ours)))
			destination := secureWith(ca, ours)
			destination.Profile = profile.ours
			peer := testpeer.StoreSCP(t, noDelay, dir, ca.DCMTK(theirs, profile.theirs, "--fork")...)
			n.AddServer("destination", "STORESCP", peer.Addr, secured(destination))
			succeed(t, n, c)
			require.ElementsMatch(t, slices.Collect(maps.Keys(c.files)), slices.Collect(maps.Keys(storedBy(t, dir))))
		})
	}
}

// tlsFaults are ways in which there is no TLS between us and a storescp. Tasks wait for each to be put right, and it is
// said in words that name what to do.
func tlsFaults(t *testing.T) map[string]struct {
	args  []string
	tls   nodes.TLS
	words []string
	hint  string // setting that the doctor suggests
} {
	ca, other := testpeer.NewAuthority(t), testpeer.NewAuthority(t)
	ours, theirs := ca.Issue(t, "adit.example"), ca.Issue(t, "localhost")
	return map[string]struct {
		args  []string
		tls   nodes.TLS
		words []string
		hint  string
	}{
		"another authority": {
			ca.DCMTK(theirs), secureWith(other, ours),
			[]string{`signed by "CN=Test Authority", which is not trusted here`, "add it to the trusted ones"},
			"",
		},
		"another name": {
			ca.DCMTK(ca.Issue(t, "elsewhere.example")), secureWith(ca, ours),
			[]string{"does not name its host", "set the expected server name"},
			"",
		},
		"ended": {
			ca.DCMTK(ca.IssueUntil(t, "localhost", time.Now().Add(-time.Hour))),
			secureWith(ca, ours),
			[]string{"its certificate is valid from", "renew it"},
			"",
		},
		"no certificate of ours": {
			ca.DCMTK(theirs), secureWith(ca, nil), []string{"client certificate", "with its key"}, "",
		},
		"a certificate of ours that it doesn't trust": {
			ca.DCMTK(theirs), secureWith(ca, other.Issue(t, "adit.example")),
			[]string{"accept the client certificate"},
			"",
		},
		"no TLS there": {nil, secureWith(ca, ours), []string{"TLS", "whether it expects TLS"}, ""},
		"TLS only there": {
			ca.DCMTK(theirs), nodes.TLS{}, []string{"whether it expects TLS"}, "tls.use",
		},
		"an older device": {
			ca.DCMTK(theirs, "+pa"), secureWith(ca, ours), []string{"use the profile bcp195"}, "tls.profile",
		},
	}
}

func says(text string, words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
}

// TestTLSFails: what a job says, and what the doctor says of the same server.
func TestTLSFails(t *testing.T) {
	n := harness.New(t, harness.Config{Workers: 8})
	study := ct(31, 2)
	for name, tt := range tlsFaults(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := startPACS(t, sourceOf(study))
			source, destination := addPair(n, src, src, nil)
			peer := testpeer.StoreSCP(t, noDelay, t.TempDir(), append(tt.args, "--fork")...)
			host := peer.Addr
			_, err := n.Engine.Nodes.UpdateServer(t.Context(), n.Admin, destination, func(s *nodes.NewServer) error {
				s.Port, s.TLS = peer.Port, tt.tls
				return nil
			})
			require.NoError(t, err, host)
			job := n.Transfer(source, destination, study.StudyInstanceUID)
			var task jobs.Task
			job = n.WaitFor(job.ID, func(j jobs.Job) bool {
				task = n.Task(j.ID)
				return j.Done() || says(task.WhyWaiting, tt.words)
			})
			require.True(t, says(task.Message+task.WhyWaiting, tt.words), task.Message)
			require.False(t, job.Done(), "it waits until the settings are put right: %s", task.Message)
			require.Zero(t, task.Failures, "no attempt is counted")
			require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.CancelJob))

			report, err := n.Engine.Doctor.Check(t.Context(), n.Admin, destination)
			require.NoError(t, err)
			said := ""
			for _, c := range report.Checks {
				if !c.OK {
					said += c.Detail
				}
			}
			require.True(t, says(said, tt.words), said)
			var hints []string
			for _, s := range report.Suggestions {
				hints = append(hints, s.Setting)
			}
			if tt.hint != "" {
				require.Equal(t, []string{tt.hint}, hints)
			} else {
				require.Empty(t, hints)
			}
		})
	}
}

// TestTLSKeyIsKeptSecret: the key goes in sealed, is used, and stays when other settings change; another certificate
// needs another key.
func TestTLSKeyIsKeptSecret(t *testing.T) {
	ca := testpeer.NewAuthority(t)
	ours, theirs := ca.Issue(t, "adit.example"), ca.Issue(t, "localhost")
	peer := testpeer.StoreSCP(t, noDelay, t.TempDir(), ca.DCMTK(theirs, "--fork")...)
	n := harness.New(t, harness.Config{Idle: true})
	node := n.AddServer("peer", "STORESCP", peer.Addr, func(s *nodes.NewServer) {
		s.Supports, s.TLS = nodes.Supports{Store: true}, secureWith(ca, ours)
	})
	require.Empty(t, node.Settings().TLS.Key)
	var dump string
	require.NoError(t, n.Pool.QueryRow(t.Context(),
		"SELECT string_agg(encode(convert_to(s::text, 'UTF8'), 'escape'), '') || string_agg(encode(tls_sealed_key, 'escape'), '') FROM servers s",
	).Scan(&dump))
	require.NotContains(t, dump, "PRIVATE KEY")
	require.Contains(t, dump, "BEGIN CERTIFICATE")

	checked := func() doctor.Check {
		report, err := n.Engine.Doctor.Check(t.Context(), n.Admin, "peer")
		require.NoError(t, err)
		for _, c := range report.Checks {
			require.True(t, c.OK || strings.HasPrefix(c.Name, "TLS"), "%+v", c)
		}
		return report.Checks[0]
	}
	c := checked()
	require.Equal(t, "TLS", c.Name)
	require.Regexp(t, `TLS 1\.[23], with a certificate of "CN=localhost" by "CN=Test Authority", valid until 20\d\d-\d\d-\d\d: it expires in \d days; ask its administrator to renew it\.`, c.Detail)

	change := func(fn func(*nodes.TLS)) error {
		_, err := n.Engine.Nodes.UpdateServer(t.Context(), n.Admin, "peer", func(s *nodes.NewServer) error {
			s.ResultLimit++
			fn(&s.TLS)
			return nil
		})
		return err
	}
	require.NoError(t, change(func(*nodes.TLS) {}))
	checked()
	another := ca.Issue(t, "adit.example")
	for words, fn := range map[string]func(*nodes.TLS){
		"the certificate needs its private key":          func(t *nodes.TLS) { t.Certificate = string(another.Certificate) },
		"private key does not match":                     func(t *nodes.TLS) { t.Key = string(another.Key) },
		"no certificate in PEM":                          func(t *nodes.TLS) { t.Certificate = string(another.Certificate) + string(another.Key) },
		"no certificates in PEM":                         func(t *nodes.TLS) { t.Authorities = "none" },
		"a private key needs its certificate":            func(t *nodes.TLS) { t.Certificate, t.Key = "", string(another.Key) },
		"must be bcp195-rfc9325 or bcp195":               func(t *nodes.TLS) { t.Profile = "ssl" },
		"tls.verify: must be name or authority":          func(t *nodes.TLS) { t.Verify = "never" },
		"tls.server_name: give a host name or an IP add": func(t *nodes.TLS) { t.ServerName = "a b" },
	} {
		require.ErrorContains(t, change(fn), words)
	}
	checked()
	require.NoError(t, change(
		func(t *nodes.TLS) { t.Certificate, t.Key = string(another.Certificate), string(another.Key) },
	))
	checked()
	require.NoError(t, change(func(t *nodes.TLS) { t.Certificate = "" }))
	report, err := n.Engine.Doctor.Check(t.Context(), n.Admin, "peer")
	require.NoError(t, err)
	require.False(t, report.Checks[len(report.Checks)-1].OK)
}
