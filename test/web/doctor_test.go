// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/doctor"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/harness"
)

// diagnosis is what the check of a server is to say.
type diagnosis struct {
	good, bad map[string]string // check → part of its words
	absent    []string          // checks
	suggests  map[string]any    // setting → value
}

func (d diagnosis) require(t *testing.T, r doctor.Report) {
	t.Helper()
	seen, suggested := map[string]doctor.Check{}, map[string]any{}
	for _, c := range r.Checks {
		seen[c.Name] = c
		require.True(t, strings.HasSuffix(c.Detail, "."), c.Detail)
		testpeer.NoPatients(t, "a check", c.Detail)
	}
	for _, s := range r.Suggestions {
		suggested[s.Setting] = s.Suggested
		require.NotEqual(t, s.Now, s.Suggested)
		require.NotEmpty(t, s.Why)
	}
	for name, words := range d.good {
		require.True(t, seen[name].OK, "%s: %+v", name, r.Checks)
		require.Contains(t, seen[name].Detail, words)
	}
	for name, words := range d.bad {
		require.Contains(t, seen, name, "%+v", r.Checks)
		require.False(t, seen[name].OK, "%s: %+v", name, r.Checks)
		require.Contains(t, seen[name].Detail, words)
	}
	for name, c := range seen {
		if _, expected := d.bad[name]; !c.OK && !expected {
			t.Errorf("%s: %s", name, c.Detail)
		}
	}
	for _, name := range d.absent {
		require.NotContains(t, seen, name)
	}
	if d.suggests == nil {
		d.suggests = map[string]any{}
	}
	require.Equal(t, d.suggests, suggested)
}

// host has a server be reached by DIMSE as well.
func host(t *testing.T, s *nodes.NewServer, p *pacs.PACS) {
	t.Helper()
	name, port, err := net.SplitHostPort(p.Addr())
	require.NoError(t, err)
	s.Host = name
	s.Port, err = strconv.Atoi(port)
	require.NoError(t, err)
}

func checked(t *testing.T, n *harness.Member, name string) doctor.Report {
	t.Helper()
	r, err := n.Engine.Doctor.Check(t.Context(), n.Admin, name)
	require.NoError(t, err)
	return r
}

// TestDoctor: the check of a server with DICOMweb says in words what it lacks, and what to do.
func TestDoctor(t *testing.T) {
	counts := []dict.Tag{dict.NumberOfSeriesRelatedInstances, dict.NumberOfStudyRelatedInstances}
	faults := func(set func(*pacs.WebFaults)) func(*pacs.Config) {
		return func(c *pacs.Config) { set(&c.Misbehave.Web) }
	}
	answer := func(a pacs.WebAnswerFaults) func(*pacs.Config) {
		return faults(func(f *pacs.WebFaults) { f.Any = a })
	}
	demo := func(set func(*pacs.WebSearchFaults)) func(*pacs.Config) {
		return func(c *pacs.Config) { c.Studies = phantom.DemoStudies(); set(&c.Misbehave.Web.Search) }
	}
	password := func(s *nodes.NewServer) {
		s.DICOMweb.Auth, s.DICOMweb.User, s.DICOMweb.Secret = nodes.AuthBasic, "adit", "secret"
	}
	withDIMSE := func(s *nodes.NewServer) {
		s.Supports = nodes.Supports{StudyRootFind: true, StudyRootGet: true, WADO: true, QIDO: true}
	}
	n := harness.New(t, harness.Config{Idle: true})
	for i, tt := range []struct {
		name     string
		set      func(*pacs.Config)
		settings func(*nodes.NewServer)
		diagnosis
	}{
		{
			"nothing wrong", nil, nil,
			diagnosis{good: map[string]string{
				"dicomweb": "connected to in", "qido studies": "its answers hold everything",
				"qido keys": "modality and date. It passes over keys", "qido limit": "reached no limit",
				"qido series": "listed", "qido images": "can be proven complete", "qido paging": "to their end",
				"metadata": "tells the metadata", "wado": "5 instances of", "stow": "Nothing was stored",
			}, absent: []string{"association"}},
		},
		{
			"empty", func(c *pacs.Config) { c.Studies = nil }, nil,
			diagnosis{good: map[string]string{
				"qido studies": "finds no study", "wado": "was not tried",
			}, absent: []string{"metadata"}},
		},
		{
			"not all services",
			nil, func(s *nodes.NewServer) { s.Supports = nodes.Supports{QIDO: true} },
			diagnosis{
				good:     map[string]string{"wado": "its settings leave it out"},
				suggests: map[string]any{"supports.wado": true}, absent: []string{"stow"},
			},
		},
		{
			"only storing, by the settings", nil, func(s *nodes.NewServer) { s.Supports = nodes.Supports{STOW: true} },
			diagnosis{
				good:     map[string]string{"stow": "Nothing was stored", "qido studies": "works"},
				suggests: map[string]any{"supports.qido": true, "supports.wado": true},
			},
		},
		{
			"wants credentials", func(c *pacs.Config) { c.Web.Credentials = []string{pacs.BasicAuth("adit", "secret")} }, nil,
			diagnosis{bad: map[string]string{"qido studies": "set dicomweb.auth to basic"}, absent: []string{"wado", "stow"}},
		},
		{
			"wants other credentials",
			func(c *pacs.Config) { c.Web.Credentials = []string{pacs.BasicAuth("adit", "another")} }, password,
			diagnosis{bad: map[string]string{"qido studies": "dicomweb.user and dicomweb.secret"}},
		},
		{
			"takes the credentials",
			func(c *pacs.Config) { c.Web.Credentials = []string{pacs.BasicAuth("adit", "secret")} }, password,
			diagnosis{good: map[string]string{"wado": "5 instances of"}},
		},
		{
			"a login page", answer(pacs.WebAnswerFaults{Status: 200, ContentType: "text/html", Body: "<html>Log in</html>"}), nil,
			diagnosis{bad: map[string]string{"qido studies": "a page to log in at"}},
		},
		{
			"sends away", answer(pacs.WebAnswerFaults{Redirect: "https://login.example.org"}), nil,
			diagnosis{bad: map[string]string{"qido studies": "It redirects to https://login.example.org"}},
		},
		{
			"busy", answer(pacs.WebAnswerFaults{Status: 503, RetryAfter: "120"}), nil,
			diagnosis{bad: map[string]string{"qido studies": "it asks to wait for 2m0s"}},
		},
		{
			"the root is further down", func(c *pacs.Config) { c.Web.Root = "/pacs/dicom-web" },
			func(s *nodes.NewServer) { s.DICOMweb.RootURL = strings.TrimSuffix(s.DICOMweb.RootURL, "/dicom-web") },
			diagnosis{
				bad:      map[string]string{"qido studies": "The root URL (dicomweb.root_url) ends with"},
				suggests: map[string]any{"dicomweb.root_url": "…"},
			},
		},
		{
			"the root is further up", nil, func(s *nodes.NewServer) { s.DICOMweb.RootURL += "/studies" },
			diagnosis{
				bad:      map[string]string{"qido studies": "The root URL (dicomweb.root_url) ends with"},
				suggests: map[string]any{"dicomweb.root_url": "…"},
			},
		},
		{
			"no TLS there", nil,
			func(s *nodes.NewServer) {
				s.DICOMweb.RootURL = strings.Replace(s.DICOMweb.RootURL, "http:", "https:", 1)
			},
			diagnosis{bad: map[string]string{"qido studies": "does not speak TLS there"}},
		},
		{
			"knows no pages", faults(func(f *pacs.WebFaults) { f.Search.IgnoreOffset = true }), nil,
			diagnosis{good: map[string]string{
				"qido paging": "so ADIT takes from the metadata", "qido images": "can be proven complete", "wado": "5 instances of",
				"qido limit": "reached no limit",
			}},
		},
		{
			"knows no pages, and can't be read by WADO-RS",
			faults(func(f *pacs.WebFaults) {
				f.Search.IgnoreOffset = true
				f.Retrieve.Status = 404
				f.Metadata.Status = 404
			}),
			func(s *nodes.NewServer) { s.Supports = nodes.Supports{QIDO: true, STOW: true} },
			diagnosis{bad: map[string]string{"qido series": "may have more than its 1 answers"}},
		},
		{
			"ends a search early, with a warning",
			demo(func(f *pacs.WebSearchFaults) { f.Cap, f.Warn, f.IgnoreOffset = 5, true, true }), nil,
			diagnosis{
				bad:      map[string]string{"qido limit": "may have more than its 5 answers"},
				good:     map[string]string{"qido paging": "takes from the metadata"},
				suggests: map[string]any{"result_limit": 5},
			},
		},
		{
			"ends a search early, without a sign",
			demo(func(f *pacs.WebSearchFaults) { f.Cap, f.IgnoreOffset = 5, true }), nil,
			diagnosis{
				bad:      map[string]string{"qido limit": "ends a search after 5 studies"},
				suggests: map[string]any{"result_limit": 5},
			},
		},
		{
			"gives few at once", demo(func(f *pacs.WebSearchFaults) { f.Cap, f.Warn = 3, true }), nil,
			diagnosis{good: map[string]string{"qido limit": "reached no limit", "qido paging": "to their end"}},
		},
		{
			"ignores keys", demo(func(f *pacs.WebSearchFaults) { f.IgnoreKeys = true }), nil,
			diagnosis{good: map[string]string{"qido keys": "doesn't filter by PatientID"}, absent: []string{"qido limit"}},
		},
		{
			"no counts", faults(func(f *pacs.WebFaults) { f.Search.OmitKeys = counts }), nil,
			diagnosis{good: map[string]string{"qido studies": "lack NumberOfStudyRelatedInstances", "qido images": "proven complete"}},
		},
		{
			"instances that nobody asks for", nil, func(s *nodes.NewServer) { s.FindImages = new(bool) },
			diagnosis{suggests: map[string]any{"find_images": true}},
		},
		{
			"no metadata", faults(func(f *pacs.WebFaults) { f.Metadata.Status = 404 }), nil,
			diagnosis{good: map[string]string{"metadata": "does not need"}},
		},
		{
			"converts", func(c *pacs.Config) {
				c.Misbehave.Web.Retrieve.IgnoreStar = true
				c.Studies = []*phantom.Study{phantom.New(3, phantom.StudySpec{
					Patient: phantom.Patient{ID: "PHANTOM-001"},
					Series: []phantom.SeriesSpec{
						{Kind: phantom.CT, Instances: 2, Rows: 16, Columns: 16, TransferSyntaxUID: dict.ImplicitVRLittleEndian},
					},
				})}
			}, nil,
			diagnosis{bad: map[string]string{"wado": "not what it holds, byte for byte"}},
		},
		{
			"refuses to send as it holds", faults(func(f *pacs.WebFaults) { f.Retrieve.RefuseStar = true }), nil,
			diagnosis{good: map[string]string{"wado": "asks for uncompressed ones"}},
		},
		{
			"sends something else", faults(func(f *pacs.WebFaults) {
				f.Retrieve.Besides, f.Retrieve.Instead = []string{"1.2.3"}, true
			}), nil,
			diagnosis{bad: map[string]string{"wado": "sends nothing of it"}},
		},
		{
			"sends nothing, and there is C-GET", faults(func(f *pacs.WebFaults) { f.Retrieve.Status = 404 }), withDIMSE,
			diagnosis{
				bad:      map[string]string{"wado": "status 404 (Not Found), and sends nothing of it"},
				good:     map[string]string{"get": "arrived in", "qido images": "proven complete"},
				suggests: map[string]any{"retrieve.methods": []string{"C-GET", "WADO-RS"}},
			},
		},
		{
			"breaks off", faults(func(f *pacs.WebFaults) { f.Retrieve.Cut, f.Retrieve.CutAfterBytes = pacs.CutDrop, 3000 }), nil,
			diagnosis{bad: map[string]string{"wado": "broke off during the retrieve"}},
		},
		{
			"stores by STOW-RS, beside C-FIND", nil,
			func(s *nodes.NewServer) { s.Supports = nodes.Supports{StudyRootFind: true, STOW: true} },
			diagnosis{
				good:     map[string]string{"find images": "proven complete", "stow": "Nothing was stored"},
				suggests: map[string]any{"supports.study_root_get": true, "supports.wado": true},
				absent:   []string{"qido studies"},
			},
		},
		{
			"stores by STOW-RS, beside C-FIND, and wants to know who it is",
			func(c *pacs.Config) { c.Web.Credentials = []string{pacs.BasicAuth("adit", "secret")} },
			func(s *nodes.NewServer) { s.Supports = nodes.Supports{StudyRootFind: true, STOW: true} },
			diagnosis{
				bad:      map[string]string{"dicomweb access": "set dicomweb.auth to basic"},
				good:     map[string]string{"find images": "proven complete"},
				suggests: map[string]any{"supports.study_root_get": true},
				absent:   []string{"stow"},
			},
		},
		{
			"no QIDO-RS, beside C-FIND", faults(func(f *pacs.WebFaults) { f.Search.Status = 404 }), withDIMSE,
			diagnosis{
				bad:      map[string]string{"qido studies": "dicomweb.qido_prefix"},
				good:     map[string]string{"find images": "proven complete", "wado": "5 instances of"},
				suggests: map[string]any{"supports.qido": false},
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := pacs.Config{Studies: []*phantom.Study{ct(1, 5)}, Web: &pacs.WebConfig{}, Memory: 1 << 20}
			if tt.set != nil {
				tt.set(&cfg)
			}
			p := startPACS(t, cfg)
			name := strings.ReplaceAll(strings.ReplaceAll(tt.name, " ", "-"), ",", "")
			n.AddServer(name, "PACS"+strconv.Itoa(i), p.Addr(), func(s *nodes.NewServer) {
				both := tt.settings != nil && strings.Contains(tt.name, "C-")
				if byWeb(p)(s); both {
					host(t, s, p)
				}
				if tt.settings != nil {
					tt.settings(s)
				}
			})
			want := tt.diagnosis
			if want.suggests["dicomweb.root_url"] != nil {
				want.suggests["dicomweb.root_url"] = p.WebURL()
			}
			want.require(t, checked(t, n, name))
		})
	}
}

// TestDoctorOfOtherServers: what listens at the address of a root URL may be something else than DICOMweb, or not be
// trusted.
func TestDoctorOfOtherServers(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	dimse := startPACS(t, pacs.Config{})
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for name, tt := range map[string]struct {
		root string
		diagnosis
	}{
		"dimse":  {"http://" + dimse.Addr(), diagnosis{bad: map[string]string{"qido studies": "not that of DIMSE"}}},
		"dimses": {"https://" + dimse.Addr(), diagnosis{bad: map[string]string{"qido studies": "not speak TLS there"}}},
		"untrusted": {secure.URL + "/dicom-web", diagnosis{
			good: map[string]string{"TLS (DICOMweb)": "with a certificate of"},
			bad:  map[string]string{"qido studies": "are those of tls.authorities (--tls-ca)"},
		}},
		"plain": {
			strings.Replace(secure.URL, "https:", "http:", 1),
			diagnosis{bad: map[string]string{"qido studies": "begins with https://"}},
		},
		"nobody": {closed.URL, diagnosis{bad: map[string]string{"dicomweb": "nothing listens there"}}},
	} {
		t.Run(name, func(t *testing.T) {
			n.AddServer(name, name, "127.0.0.1:1", func(s *nodes.NewServer) {
				s.Host, s.Port = "", 0
				s.Supports = nodes.Supports{QIDO: true, WADO: true, STOW: true}
				s.DICOMweb.RootURL = tt.root
			})
			tt.require(t, checked(t, n, name))
		})
	}
}

// TestDoctorOfUnsavedServers: a server of which nobody has said more than its root URL is asked for what can be known
// without storing anything.
func TestDoctorOfUnsavedServers(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	check := func(t *testing.T, p *pacs.PACS, change func(*nodes.NewServer)) doctor.Report {
		t.Helper()
		s := nodes.NewServer{Name: "new", AETitle: "NEW"}
		s.DICOMweb.RootURL = p.WebURL()
		if change != nil {
			change(&s)
		}
		var r doctor.Report
		for f, err := range n.Engine.Doctor.FindingsOfUnsaved(t.Context(), n.Admin, s) {
			require.NoError(t, err)
			if f.Check != nil {
				r.Checks = append(r.Checks, *f.Check)
			} else {
				r.Suggestions = append(r.Suggestions, *f.Suggestion)
			}
		}
		require.Empty(t, p.Recorder().Log().Stores)
		return r
	}
	all := map[string]any{"supports.qido": true, "supports.wado": true}
	for name, tt := range map[string]struct {
		faults pacs.WebFaults
		change func(*nodes.NewServer)
		diagnosis
	}{
		"all": {diagnosis: diagnosis{
			good:     map[string]string{"qido images": "proven complete", "wado": "arrived in", "stow": "can't be known"},
			suggests: all,
		}},
		"no WADO-RS": {
			faults: pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{AnswerFaults: pacs.WebAnswerFaults{Status: 501}}},
			diagnosis: diagnosis{
				good:     map[string]string{"wado": "does not send instances by WADO-RS (status 501)"},
				suggests: map[string]any{"supports.qido": true},
			},
		},
		"nothing": {
			faults:    pacs.WebFaults{Any: pacs.WebAnswerFaults{Status: 404}},
			diagnosis: diagnosis{bad: map[string]string{"qido studies": "dicomweb.root_url"}, absent: []string{"stow"}},
		},
		"another root": {
			change: func(s *nodes.NewServer) { s.DICOMweb.RootURL = strings.TrimSuffix(s.DICOMweb.RootURL, "/dicom-web") },
			diagnosis: diagnosis{
				bad: map[string]string{"qido studies": "dicomweb.root_url"}, suggests: map[string]any{"dicomweb.root_url": "…"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := startPACS(t, pacs.Config{Studies: []*phantom.Study{ct(2, 3)}, Misbehave: pacs.Misbehave{Web: tt.faults}})
			want := tt.diagnosis
			if want.suggests["dicomweb.root_url"] != nil {
				want.suggests["dicomweb.root_url"] = p.WebURL()
			}
			want.require(t, check(t, p, tt.change))
		})
	}
	t.Run("beside DIMSE", func(t *testing.T) {
		p := startPACS(t, pacs.Config{AETitle: "NEW", Studies: []*phantom.Study{ct(2, 3)}})
		r := check(t, p, func(s *nodes.NewServer) { host(t, s, p) })
		diagnosis{
			good: map[string]string{"find images": "proven complete", "qido images": "proven complete", "get": "arrived in", "wado": "arrived in"},
			bad:  map[string]string{"move": ""},
			suggests: map[string]any{
				"supports.study_root_find": true, "supports.study_root_get": true, "supports.study_root_move": true,
				"supports.qido": true, "supports.wado": true,
			},
		}.require(t, r)
	})
}

// TestDoctorOfOrthanc checks a server as it is: with its services, and with the root of its own API for that of
// DICOMweb.
func TestDoctorOfOrthanc(t *testing.T) {
	o := testpeer.Orthanc(t, nil, map[string]any{
		"Plugins":  []string{"/usr/share/orthanc/plugins/libOrthancDicomWeb.so"},
		"DicomWeb": map[string]any{"Enable": true, "Root": "/dicom-web/"},
	})
	n := harness.New(t, harness.Config{})
	study := mixed(3)
	src := startPACS(t, pacs.Config{Studies: []*phantom.Study{study}})
	n.AddServer("source", "SRC", src.Addr(), nil)
	for name, root := range map[string]string{"orthanc": o.URL + "/dicom-web", "upstairs": o.URL} {
		n.AddServer(name, name, "127.0.0.1:1", func(s *nodes.NewServer) {
			s.Host, s.Port = "", 0
			s.Supports = nodes.Supports{QIDO: true, WADO: true, STOW: true}
			s.DICOMweb.RootURL = root
		})
	}
	job := n.Wait(n.Transfer("source", "orthanc", study.StudyInstanceUID).ID)
	require.Equal(t, jobs.Success, job.Status, "%+v", n.Task(job.ID))
	diagnosis{good: map[string]string{
		"qido studies": "The search works", "qido keys": "filters by patient", "qido limit": "reached no limit",
		"qido images": "can be proven complete", "qido paging": "to their end", "metadata": "tells the metadata",
		"wado": "arrived in",
	}}.require(t, checked(t, n, "orthanc"))
	diagnosis{
		bad:      map[string]string{"qido studies": "such as /dicom-web"},
		suggests: map[string]any{"dicomweb.root_url": o.URL + "/dicom-web"},
	}.require(t, checked(t, n, "upstairs"))
}
