// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package browser

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/people"
	"github.com/adit-go/adit/test/process"
)

// world is what the tests in the browser know of what they run against.
type world struct {
	URL      string   `json:"url"`
	Token    string   `json:"token"`    // of the first administrator, who has no password where Welcome is tried
	Password string   `json:"password"` // of all users
	Banner   string   `json:"banner"`   // what the program said at its start
	Secrets  []string `json:"secrets"`  // values of patients, which may occur nowhere but on pages
	Studies  []study  `json:"studies"`
	Late     study    `json:"late"` // not at PACS-A until the wish for an upload
	// The Orthancs, for who adds them by hand.
	Source      peer `json:"source"`
	Destination peer `json:"destination"`

	peers
	adit *process.Server
	args []string
	goOn chan struct{} // closed: WAITING goes on
}

// peers are the Orthancs that studies are moved between.
type peers struct{ from, to *testpeer.OrthancServer }

// startPeers starts them, and gives the first one its studies.
func startPeers(t *testing.T) peers {
	utf8 := map[string]any{"DefaultEncoding": "Utf8"} // else its answers lack ideographs
	both := peers{testpeer.Orthanc(t, nil, utf8), testpeer.Orthanc(t, nil, utf8)}
	for _, s := range studies() {
		both.upload(t, s)
	}
	return both
}

func (p peers) upload(t *testing.T, s *phantom.Study) {
	files, err := s.WriteFiles(t.TempDir())
	require.NoError(t, err)
	for _, file := range files {
		p.from.Upload(t, file)
	}
}

type study struct {
	UID       string `json:"uid"`
	PatientID string `json:"patient_id"`
	Images    int    `json:"images"`
	Series    int    `json:"series"`
}

type peer struct {
	AETitle string `json:"ae_title"`
	Port    int    `json:"port"`
}

const password = "phantoms take the night train"

// studies are what PACS-A has: usual ones, and what a page may stumble over.
func studies() []*phantom.Study {
	specs := []phantom.StudySpec{
		{
			Patient: phantom.Patient{ID: "PHANTOM-101", Name: "Phantom^Alpha", BirthDate: "19610402", Sex: "F"},
			Date:    "20261111", Time: "094200", Description: "CT Thorax low dose", AccessionNumber: "A2600114",
			Series: []phantom.SeriesSpec{
				{Kind: phantom.CT, Instances: 6, Description: "Thorax 1.0 lung", Rows: 32, Columns: 32},
				{Kind: phantom.CT, Instances: 4, Description: "Thorax 3.0 mediastinum", Rows: 32, Columns: 32},
				{Kind: phantom.Report, Description: "Dose report"},
			},
		},
		{
			Patient: phantom.Patient{ID: "PHANTOM-101", Name: "Phantom^Alpha", BirthDate: "19610402", Sex: "F"},
			Date:    "20260506", Time: "101500", Description: "CT Thorax low dose", AccessionNumber: "A2600071",
			Series: []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 5, Rows: 32, Columns: 32}},
		},
		{
			Patient: phantom.Patient{
				ID: "PHANTOM-107", Name: "Phantom^Delta=幻影^德尔塔", BirthDate: "19541219", Sex: "O",
				CharacterSet: []string{"ISO_IR 192"},
			},
			Date: "20261110", Time: "160800", Description: "MR Neurocranium", AccessionNumber: "A2600109",
			Series: []phantom.SeriesSpec{{Kind: phantom.MR, Instances: 8, Rows: 32, Columns: 32}},
		},
		{
			Patient: phantom.Patient{
				ID: "PHANTOM-103", Name: "<b>Phantom</b>^Zeta<img src=x onerror=alert(1)>", BirthDate: "19480211", Sex: "M",
			},
			Date: "20261108", Time: "221700", Description: "CT <script>alert(1)</script>", AccessionNumber: "A2600098",
			Series: []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 3, Rows: 32, Columns: 32}},
		},
		{
			Patient: phantom.Patient{
				ID: "PHANTOM-115", Name: "פנטום^אלף", Sex: "F", CharacterSet: []string{"ISO_IR 192"},
			},
			Description: "US Abdomen",
			Series:      []phantom.SeriesSpec{{Kind: phantom.Ultrasound, Instances: 1, Frames: 2}},
		},
	}
	all := make([]*phantom.Study, len(specs))
	for i, spec := range specs {
		all[i] = phantom.New(uint64(7000+i), spec)
	}
	return all
}

// late is a study that comes to PACS-A when a flow wishes it. Its day is one that no other flow looks through: they all
// have the same Orthancs.
func late() *phantom.Study {
	return phantom.New(7700, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-120", Name: "Latecomer^Eta", BirthDate: "19830905", Sex: "F"},
		Date:    "20250709", Time: "140300", Description: "MR Knee",
		Series: []phantom.SeriesSpec{{Kind: phantom.MR, Instances: 7, Rows: 32, Columns: 32}},
	})
}

// manySeries is a study that a page has to scroll.
func manySeries() *phantom.Study {
	spec := phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-200", Name: "Phantom^Many", BirthDate: "19700101", Sex: "O"},
		Date:    "20261101", Time: "120000", Description: "MR perfusion",
	}
	for i := range 2000 {
		spec.Series = append(spec.Series, phantom.SeriesSpec{
			Kind: phantom.MR, Instances: 1, Rows: 16, Columns: 16, Description: fmt.Sprintf("Map %d", i+1),
		})
	}
	return phantom.New(7900, spec)
}

// slowly has a PACS say so many studies, and then nothing more until the search is ended.
func slowly(n int) (studies []*phantom.Study, gate func(context.Context, pacs.Event)) {
	for i := range n + 1 {
		studies = append(studies, phantom.New(uint64(7800+i), phantom.StudySpec{
			Patient: phantom.Patient{ID: fmt.Sprintf("PHANTOM-3%02d", i), Name: "Phantom^Slow", Sex: "O"},
			Date:    "20261102", Time: "080000", Description: "CR Thorax",
			Series: []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 1, Rows: 16, Columns: 16}},
		}))
	}
	return studies, func(ctx context.Context, e pacs.Event) {
		if e.Kind == pacs.AtMatch && e.Number > n {
			<-ctx.Done()
		}
	}
}

// withPACS adds a server of our own, which does what no Orthanc can be asked for.
func (w *world) withPACS(t *testing.T, name string, cfg pacs.Config, studies ...*phantom.Study) {
	ctx, c := t.Context(), w.client(t)
	cfg.AETitle, cfg.Studies = name, studies
	p, err := pacs.Start(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	_, err = c.Servers.Add(ctx, client.ServerSettings{
		Name: name, AETitle: name, Host: "127.0.0.1", Port: p.Port(),
		Supports: client.Supports{StudyRootFind: true, StudyRootGet: true, Store: true},
	})
	require.NoError(t, err)
	_, err = c.Groups.SetAccess(ctx, client.Access{Group: "Thorax", Node: name, Source: true})
	require.NoError(t, err)
}

// forDownloads adds a PACS that breaks off in the middle, one that waits there for a wish, somebody who may download
// only under a pseudonym, and somebody who may not.
func (w *world) forDownloads(t *testing.T) {
	ctx, c := t.Context(), w.client(t)
	study := phantom.New(7600, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-130", Name: "Taken^Iota", BirthDate: "19720117", Sex: "M"},
		Date:    "20261103", Time: "091500", Description: "CT Abdomen",
		Series: []phantom.SeriesSpec{{Kind: phantom.CT, Instances: middle * 2, Rows: 256, Columns: 256}},
	})
	w.Secrets = append(w.Secrets, study.Spec.Patient.ID, "Taken")
	w.goOn = make(chan struct{})
	w.withPACS(t, "BREAKING", pacs.Config{Misbehave: pacs.Misbehave{Get: pacs.GetFaults{DropAtObject: middle}}}, study)
	w.withPACS(t, "WAITING", pacs.Config{Gate: func(ctx context.Context, e pacs.Event) {
		if e.Kind == pacs.AtSubOperation && e.Number == middle {
			select {
			case <-w.goOn:
			case <-ctx.Done():
			}
		}
	}}, study)
	for group, permissions := range map[string][]string{
		"Takers":  {people.SelectiveTransfer, people.DirectDownload},
		"Lookers": {people.SelectiveTransfer},
	} {
		_, err := c.Groups.Add(ctx, client.NewGroup{Name: group, Permissions: permissions})
		require.NoError(t, err)
		_, err = c.Groups.SetAccess(ctx, client.Access{Group: group, Node: "PACS-A", Source: true})
		require.NoError(t, err)
		_, err = c.Users.Add(ctx, client.NewUser{
			Username: strings.ToLower(strings.TrimSuffix(group, "s")), Password: password, Groups: []string{group},
		})
		require.NoError(t, err)
	}
	_, err := c.Projects.Add(ctx, client.NewProject{Name: "taking", Group: "Takers", NoScan: true})
	require.NoError(t, err)
}

// middle is the image of a study to be downloaded at which something happens.
const middle = 5

// unzipped has a zip be whole, with so many instances.
func unzipped(t *testing.T, name string, instances int) {
	z, err := zip.OpenReader(name)
	require.NoError(t, err)
	defer func() { _ = z.Close() }()
	require.Len(t, z.File, instances)
	for _, f := range z.File {
		require.True(t, strings.HasSuffix(f.Name, ".dcm"), f.Name)
		r, err := f.Open()
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, r) // up to its checksum
		require.NoError(t, err)
		require.NoError(t, r.Close())
	}
}

// client is a client of the first administrator.
func (w *world) client(t *testing.T) *client.Client {
	c, err := client.New(w.URL, client.WithToken(w.Token))
	require.NoError(t, err)
	return c
}

// newWorld starts ADIT with a database of its own between the two Orthancs. But for
// the flow that begins with the first start, users, groups, servers and a project are there.
func newWorld(t *testing.T, flow string, both peers) *world {
	ctx := t.Context()
	w := &world{
		peers: both, Password: password,
		Source: peer{"ORTHANC", both.from.Port}, Destination: peer{"ORTHANC_B", both.to.Port},
	}
	w.args = []string{"--database-url", dbtest.URL(t), "--lease", "10s"}
	adit := process.Serve(t, filepath.Join(t.TempDir(), "data"), w.args...)
	w.adit, w.URL, w.Banner = adit, adit.URL, adit.Banner
	token, err := os.ReadFile(filepath.Join(adit.DataDir, "admin.token"))
	require.NoError(t, err)
	w.Token = strings.TrimSpace(string(token))
	for _, s := range append(studies(), late()) {
		p := s.Spec.Patient
		w.Secrets = append(w.Secrets, p.ID, strings.Split(p.Name, "^")[0], s.StudyInstanceUID)
		w.Studies = append(w.Studies, study{s.StudyInstanceUID, p.ID, len(s.Instances()), len(s.Series)})
	}
	last := len(w.Studies) - 1
	w.Studies, w.Late = w.Studies[:last], w.Studies[last]
	if flow == "welcome" {
		return w
	}
	c := w.client(t)
	for name, at := range map[string]*testpeer.OrthancServer{"PACS-A": both.from, "RESEARCH": both.to} {
		_, err := c.Servers.Add(ctx, client.ServerSettings{
			Name: name, AETitle: strings.ReplaceAll(name, "-", "_"), Host: "127.0.0.1", Port: at.Port,
			Supports: client.Supports{StudyRootFind: true, StudyRootGet: true, StudyRootMove: true, Store: true},
		})
		require.NoError(t, err)
	}
	_, err = c.Groups.Add(ctx, client.NewGroup{Name: "Thorax", Permissions: []string{
		people.SelectiveTransfer, people.BatchQuery, people.BatchTransfer, people.MassTransfer, people.Tokens,
		people.Urgent, people.TransferUnpseudonymized, people.DirectDownload,
	}})
	require.NoError(t, err)
	_, err = c.Groups.Add(ctx, client.NewGroup{Name: "Visitors"})
	require.NoError(t, err)
	for _, node := range []string{"PACS-A", "RESEARCH"} {
		_, err := c.Groups.SetAccess(ctx, client.Access{Group: "Thorax", Node: node, Source: true, Destination: true})
		require.NoError(t, err)
	}
	for _, u := range []client.NewUser{
		{Username: "researcher", Groups: []string{"Thorax"}},
		{Username: "colleague", Groups: []string{"Thorax"}},
		{Username: "visitor", Groups: []string{"Visitors"}},
		{Username: "manager", IsStaff: true, Groups: []string{"Thorax"}},
	} {
		u.Password = password
		_, err := c.Users.Add(ctx, u)
		require.NoError(t, err)
	}
	require.NoError(t, c.Groups.AddMember(ctx, "Thorax", "admin"))
	_, err = c.Projects.Add(ctx, client.NewProject{Name: "lung-screening", Group: "Thorax", NoScan: true})
	require.NoError(t, err)
	switch flow {
	case "many":
		w.withPACS(t, "MANY", pacs.Config{}, manySeries())
	case "search":
		studies, gate := slowly(20)
		w.withPACS(t, "SLOW", pacs.Config{Gate: gate}, studies...)
	case "download":
		w.forDownloads(t)
	}
	require.NoError(t, c.Users.SetPassword(ctx, "admin", client.NewPassword{
		Password: password, KeepTokens: client.KeepTokens{KeepTokens: true},
	}))
	return w
}

// grant does what a flow can't do in a browser.
func (w *world) grant(t *testing.T, wish string) {
	if zipped, ok := strings.CutPrefix(wish, "unzip "); ok {
		instances, name, _ := strings.Cut(zipped, " ")
		n, err := strconv.Atoi(instances)
		require.NoError(t, err)
		unzipped(t, name, n)
		return
	}
	switch wish {
	case "go on":
		close(w.goOn)
	case "kill": // as a power failure does
		require.NoError(t, w.adit.Cmd.Process.Kill())
		<-w.adit.Ended
	case "start": // at the same address
		w.adit = process.Serve(t, w.adit.DataDir, append(w.args, "--listen", strings.TrimPrefix(w.URL, "http://"))...)
	case "upload": // to PACS-A, the study that was not there
		w.upload(t, late())
	default:
		t.Errorf("a flow has a wish that nobody knows: %s", wish)
	}
}
