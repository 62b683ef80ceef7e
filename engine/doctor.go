// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/pacs"
	"github.com/adit-go/adit/people"
)

// Check is one thing that was tried at a DICOM node.
type Check struct {
	Name   string // "echo", "find", "get", …
	OK     bool
	Detail string // what was seen, and what to do if it failed
}

// doctor tries what a server can do, over one interactive slot, and takes down what it sees.
type doctor struct {
	node   DICOMNode
	peer   pacs.Peer
	slot   *pacs.Slot
	checks []Check
}

// CheckNode tries whether a server answers, offers what it is configured with, can be searched at every level and sends an image, or
// whether a folder is writable. It reads one image at the most and stores nothing. It is for staff.
func (e *Engine) CheckNode(ctx context.Context, user people.User, name string) ([]Check, error) {
	if err := e.people.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return nil, err
	}
	node, err := e.DICOMNodeByName(ctx, name)
	if err != nil {
		return nil, err
	}
	if node.Folder != nil {
		c := Check{Name: "folder", OK: true, Detail: "The folder is there and writable."}
		if err := checkFolder(node.Folder.Path); err != nil {
			c.OK, c.Detail = false, sentence(err)
		}
		return []Check{c}, nil
	}
	d := &doctor{node: node, peer: e.peer(node)}
	if d.slot, err = e.door.Interactive(ctx, d.peer); err != nil {
		return nil, err
	}
	err = d.examine(ctx)
	return d.checks, errors.Join(err, d.slot.Close(ctx))
}

func (d *doctor) goodf(name, format string, args ...any) {
	d.checks = append(d.checks, Check{name, true, fmt.Sprintf(format, args...)})
}

func (d *doctor) badf(name, format string, args ...any) {
	d.checks = append(d.checks, Check{name, false, fmt.Sprintf(format, args...)})
}

// examine goes as far as the server lets it. The error is of the context only: what the server does wrong is a check.
func (d *doctor) examine(ctx context.Context) error {
	if !d.reach(ctx) || ctx.Err() != nil {
		return ctx.Err()
	}
	if d.node.Server.StoreScp {
		d.takes(ctx)
	}
	src := &source{node: d.node, peer: d.peer, slot: d.slot}
	defer src.release(ctx)
	if study := d.find(ctx, src); study != nil {
		d.retrieve(ctx, src, study)
	}
	return ctx.Err()
}

// reach opens an association, echoes, and compares what the server offers with its settings.
func (d *doctor) reach(ctx context.Context) bool {
	start := time.Now()
	a, err := d.slot.Open(ctx, d.peer, checkContexts(d.node))
	if err != nil {
		d.badf("echo", "%s", sentence(err))
		return false
	}
	defer func() { _ = a.Release(ctx) }() // it ends in any case
	opened := time.Since(start)
	if len(a.Accepted(dict.Verification)) == 0 {
		d.badf("echo", "The server opens associations, but doesn't offer C-ECHO to this AE title; ask its administrator to allow it.")
	} else if start = time.Now(); !d.tried("echo", a.Echo(ctx)) {
		return false
	} else {
		d.goodf("echo", "C-ECHO answered in %s, the association was open after %s.", milliseconds(time.Since(start)), milliseconds(opened))
	}
	for _, s := range services(d.node) {
		if len(a.Accepted(s.class)) == 0 {
			d.badf(s.name, "The server doesn't offer it to this AE title; ask its administrator, or take it off the server's settings.")
		} else {
			d.goodf(s.name, "The server offers it.")
		}
	}
	return true
}

// tried takes an error down as a failed check.
func (d *doctor) tried(name string, err error) bool {
	if err != nil {
		d.badf(name, "%s", sentence(err))
	}
	return err == nil
}

func milliseconds(d time.Duration) time.Duration { return d.Round(time.Millisecond / 10) }

// takes asks in which transfer syntaxes the server takes CT images.
func (d *doctor) takes(ctx context.Context) {
	var contexts []dimse.Context
	for _, syntax := range proposals([]string{dict.CTImageStorage}, nil)[dict.CTImageStorage] {
		contexts = append(contexts, dimse.Context{AbstractSyntax: dict.CTImageStorage, TransferSyntaxes: []string{syntax}})
	}
	a, err := d.slot.Open(ctx, d.peer, contexts)
	if !d.tried("transfer syntaxes", err) {
		return
	}
	defer func() { _ = a.Release(ctx) }() // it ends in any case
	var names []string
	compressed := false
	for _, c := range a.Contexts() {
		t := dict.TransferSyntaxOf(c.TransferSyntax)
		names = append(names, t.Name)
		compressed = compressed || t.Encapsulated
	}
	if !compressed {
		d.goodf("transfer syntaxes", "It takes CT images uncompressed only (%s): compressed images arrive only if their source can decompress them.", strings.Join(names, ", "))
		return
	}
	d.goodf("transfer syntaxes", "It takes CT images as %s.", strings.Join(names, ", "))
}

// recent is how far back the doctor looks for a study to try.
var recent = []time.Duration{0, 7 * 24 * time.Hour, 90 * 24 * time.Hour, 50 * 365 * 24 * time.Hour}

// specimen is what the doctor found to try: one instance.
type specimen struct {
	inv      *inventory
	series   *seriesInventory
	instance string
}

// find searches at every level, from the newest studies backwards. It gives an instance to retrieve, nil if there is none.
func (d *doctor) find(ctx context.Context, src *source) *specimen {
	s := d.node.Server
	if !s.StudyRootFind && !s.PatientRootFind {
		return nil
	}
	study, err := d.anyStudy(ctx, src)
	if !d.tried("find studies", err) {
		return nil
	}
	if study == nil {
		d.goodf("find studies", "The search works, and finds no study.")
		return nil
	}
	r := &run{source: src, src: d.node, task: db.Task{StudyInstanceUid: study.String(dict.StudyInstanceUID)}}
	r.inv = &inventory{study: r.task.StudyInstanceUid, patientID: study.String(dict.PatientID), counted: count(study, dict.NumberOfStudyRelatedInstances)}
	d.lacking("find studies", study, studyKeys)
	if !d.tried("find series", r.listSeries(ctx, r.inv)) {
		return nil
	}
	series := r.inv.series[0]
	d.goodf("find series", "A study's series are listed.")
	if !d.tried("find images", r.listInstances(ctx, r.inv, series)) {
		return nil
	}
	d.completeness(series, r.inv)
	sp := &specimen{inv: r.inv, series: series}
	for uid := range series.instances {
		sp.instance = max(sp.instance, uid)
	}
	return sp
}

// completeness says by what the completeness of a transfer from here can be proven.
func (d *doctor) completeness(s *seriesInventory, inv *inventory) {
	switch {
	case s.listed && (s.counted < 0 || s.counted == len(s.instances)):
		d.goodf("find images", "Images are listed one by one: a transfer can be proven complete.")
	case s.listed:
		d.badf("find images", "A series of %d images lists only %d: the server caps its answers. Ask its administrator to raise the limit.", s.counted, len(s.instances))
	case s.counted >= 0 || inv.counted >= 0:
		d.goodf("find images", "Images aren't listed (no IMAGE level), but counted: a transfer is proven complete by the count, and a retry asks for whole series.")
	default:
		d.badf("find images", "Images are neither listed nor counted: no transfer from here can be proven complete, and each ends as a Warning. Ask the vendor for C-FIND at IMAGE level.")
	}
}

// anyStudy gives a study, preferably a recent one, nil if there is none.
func (d *doctor) anyStudy(ctx context.Context, src *source) (*stream.DataSet, error) {
	now := time.Now()
	for _, back := range recent {
		id := levelQuery("STUDY", studyKeys)
		id.Set(dict.StudyDate, now.Add(-back).Format("20060102")+"-"+now.Format("20060102"))
		for ds, err := range src.find(ctx, id) {
			if err != nil {
				return nil, err
			}
			if ds.String(dict.StudyInstanceUID) != "" {
				return ds, nil
			}
		}
	}
	return nil, nil //nolint:nilnil // an empty server is no error
}

// lacking names the attributes that an answer leaves out although they were asked for.
func (d *doctor) lacking(name string, answer *stream.DataSet, asked []dict.Tag) {
	var missing []string
	for _, tag := range asked {
		if !answer.Has(tag) {
			missing = append(missing, tag.Keyword())
		}
	}
	if len(missing) == 0 {
		d.goodf(name, "The search works, and answers everything that it was asked for.")
		return
	}
	slices.Sort(missing)
	d.goodf(name, "The search works, but the answers lack %s; searches by them are filtered here as far as they can be.", strings.Join(missing, ", "))
}

// retrieve gets one image and throws it away.
func (d *doctor) retrieve(ctx context.Context, src *source, sp *specimen) {
	s := d.node.Server
	if !s.StudyRootGet && !s.PatientRootGet {
		return
	}
	classes := sp.series.classes()
	if i, ok := sp.series.instances[sp.instance]; ok && i.class != "" {
		classes = []string{i.class}
	}
	if !d.tried("get", src.open(ctx, classes, proposals(classes, nil), offerAll)) {
		return
	}
	var uids []string
	if sp.instance != "" {
		uids = []string{sp.instance}
	}
	var syntax string
	var bytes int64
	start, stop := time.Now(), make(chan struct{})
	result, err := src.get(ctx, sp.inv, sp.series.uid, uids, stop, func(_ context.Context, in *dimse.Incoming) dimse.Status {
		n, err := io.Copy(io.Discard, in.Data)
		if err != nil {
			return dimse.ProcessingFailure
		}
		if syntax == "" {
			close(stop) // one is enough
		}
		syntax, bytes = in.TransferSyntaxUID, bytes+n
		return dimse.Success
	})
	switch took := time.Since(start); {
	case err != nil:
		d.badf("get", "%s", sentence(err))
	case syntax == "":
		d.badf("get", "The retrieve ended with status %s, but nothing arrived: %s. Look into the server's log.", result.Status, result.Status.Meaning(dimse.CGet).Text)
	default:
		d.goodf("get", "An image of %s arrived in %s (%.0f MB/s) as %s.", megabytes(bytes), milliseconds(took), float64(bytes)/1e6/took.Seconds(), dict.TransferSyntaxOf(syntax).Name)
	}
}

func checkContexts(node DICOMNode) []dimse.Context {
	contexts := []dimse.Context{{AbstractSyntax: dict.Verification, TransferSyntaxes: plainSyntaxes}}
	for _, s := range services(node) {
		contexts = append(contexts, dimse.Context{AbstractSyntax: s.class, TransferSyntaxes: plainSyntaxes})
	}
	return contexts
}

type service struct{ name, class string }

// services gives the services that a server is configured with.
func services(node DICOMNode) []service {
	s := node.Server
	var list []service
	for _, c := range []struct {
		on bool
		service
	}{
		{s.StudyRootFind, service{"find (study root)", dict.StudyRootQueryRetrieveInformationModelFind}},
		{s.PatientRootFind, service{"find (patient root)", dict.PatientRootQueryRetrieveInformationModelFind}},
		{s.StudyRootGet, service{"get (study root)", dict.StudyRootQueryRetrieveInformationModelGet}},
		{s.PatientRootGet, service{"get (patient root)", dict.PatientRootQueryRetrieveInformationModelGet}},
		{s.StudyRootMove, service{"move (study root)", dict.StudyRootQueryRetrieveInformationModelMove}},
		{s.PatientRootMove, service{"move (patient root)", dict.PatientRootQueryRetrieveInformationModelMove}},
		{s.StoreScp, service{"store", dict.CTImageStorage}},
	} {
		if c.on {
			list = append(list, c.service)
		}
	}
	return list
}
