// SPDX-License-Identifier: AGPL-3.0-or-later

package scu

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	enginesource "github.com/adit-go/adit/engine/source"
	"github.com/adit-go/adit/internal/words"
)

// GetCmd fetches instances from a server.
type GetCmd struct {
	peer
	model
	OutputDirectory string   `name:"od" short:"o" type:"path" default:"." placeholder:"DIR" help:"Folder for the files, which are named by SOP Instance UID (${default}). -od works as well."`
	SOPClasses      []string `name:"sop-class" placeholder:"UID" help:"Propose only these SOP classes, with all registered transfer syntaxes. They may be private."`
}

// got is what get --json writes.
type got struct {
	Received int      `json:"received"`
	NotSent  []string `json:"not_sent"` // SOP Instance UIDs that the server named
}

// MaxProposed is how many presentation contexts an association can have beside that of C-GET.
const MaxProposed = 127

// usualClasses fill one association: what most studies of CT and MR hold. usualModalities follow.
var (
	UsualClasses = []string{
		dict.CTImageStorage, dict.MRImageStorage,
		dict.SecondaryCaptureImageStorage, dict.KeyObjectSelectionDocumentStorage,
		dict.GrayscaleSoftcopyPresentationStateStorage, dict.XRayRadiationDoseSRStorage,
		dict.BasicTextSRStorage, dict.EnhancedSRStorage,
		dict.ComprehensiveSRStorage, dict.EncapsulatedPDFStorage, dict.SpatialRegistrationStorage, dict.RawDataStorage,
	}
	usualModalities = []string{
		"CR", "DX", "MG", "US", "XA", "RF", "PT", "NM", "CT", "MR",
		"SR", "PR", "SEG", "RTSTRUCT", "RTPLAN", "RTDOSE", "RTIMAGE",
	}
)

// Run is C-GET.
func (c *GetCmd) Run(ctx context.Context, io command.Streams) error {
	query, err := c.identifier()
	if err != nil {
		return err
	}
	if !selective(query) {
		return command.Usage(
			"this would fetch all that the server has; say what to get, such as -k StudyInstanceUID=UID or -k PatientID=ID",
		)
	}
	if err := os.MkdirAll(c.OutputDirectory, 0o750); err != nil {
		return err
	}
	root := dict.StudyRootQueryRetrieveInformationModelGet
	if c.PatientRoot {
		root = dict.PatientRootQueryRetrieveInformationModelGet
	}
	g := getting{
		dir: c.OutputDirectory, io: io, named: len(c.SOPClasses) > 0,
		failed: map[string]bool{}, arrived: map[string]bool{},
	}
	classes := c.SOPClasses
	if len(classes) == 0 {
		classes = c.classes(ctx, query)
	}
	var last dimse.GetResult
	for _, storage := range Storage(classes, g.named) {
		contexts := append([]dimse.Context{{AbstractSyntax: root, TransferSyntaxes: plain}}, storage...)
		err = c.call(ctx, contexts, func(a *dimse.Association) error {
			last, err = a.Get(ctx, dimse.GetRequest{SOPClassUID: root, Identifier: query}, g.take)
			if err != nil {
				return err
			}
			return g.answered(last)
		})
		if err != nil || g.err != nil || g.complete(last) {
			break
		}
	}
	for _, uid := range slices.Sorted(maps.Keys(g.failed)) {
		fmt.Fprintf(io.Err, "not sent: %s\n", command.Printable(uid))
	}
	fmt.Fprintf(io.Err, "%s received\n", words.Plural(g.received, "instance", "instances"))
	if c.JSON {
		answer := got{g.received, append([]string{}, slices.Sorted(maps.Keys(g.failed))...)}
		if err := command.PrintJSON(io.Out, answer); err != nil {
			return err
		}
	}
	if err == nil && g.err == nil { // which says why objects were not taken
		err = g.verdict(last)
	}
	return errors.Join(err, g.err)
}

// levels are those of a query, keys the unique key of each.
var (
	levels = []string{"PATIENT", "STUDY", "SERIES", "IMAGE"}
	keys   = []dict.Tag{dict.PatientID, dict.StudyInstanceUID, dict.SeriesInstanceUID, dict.SOPInstanceUID}
)

// selective reports whether a query has a key that not everything matches.
func selective(query *stream.DataSet) bool {
	for e := range query.All() {
		if value := query.String(e.Tag); e.Tag != dict.QueryRetrieveLevel && strings.Trim(value, "*") != "" {
			return true
		}
	}
	return false
}

// classes asks the server by C-FIND which SOP classes the objects have; none: it doesn't say.
func (c *GetCmd) classes(ctx context.Context, query *stream.DataSet) []string {
	root := dict.StudyRootQueryRetrieveInformationModelFind
	if c.PatientRoot {
		root = dict.PatientRootQueryRetrieveInformationModelFind
	}
	found := map[string]bool{}
	err := c.call(
		ctx, []dimse.Context{{AbstractSyntax: root, TransferSyntaxes: plain}},
		func(a *dimse.Association) error {
			return descend(ctx, a, root, query, found)
		},
	)
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(found))
}

// descend collects SOP classes from what a query matches, level by level.
func descend(
	ctx context.Context, a *dimse.Association, root string, query *stream.DataSet, found map[string]bool,
) error {
	level := slices.Index(levels, query.String(dict.QueryRetrieveLevel))
	if level < 0 {
		return errors.New("the level is unknown")
	}
	ask, key := copied(query), keys[level]
	if !ask.Has(key) {
		ask.Set(key)
	}
	if key == dict.SOPInstanceUID {
		ask.Set(dict.SOPClassUID)
	}
	var below []*stream.DataSet
	for match, err := range a.Find(ctx, root, ask) {
		if err != nil {
			return err
		}
		if key == dict.SOPInstanceUID {
			if !dict.ValidUID(match.String(dict.SOPClassUID)) {
				return errors.New("the class is not named")
			}
			found[match.String(dict.SOPClassUID)] = true
			continue
		}
		next := copied(query)
		next.Set(dict.QueryRetrieveLevel, levels[level+1])
		next.Set(key, match.String(key))
		below = append(below, next)
	}
	for _, next := range below {
		if err := descend(ctx, a, root, next, found); err != nil {
			return err
		}
	}
	return nil
}

func copied(d *stream.DataSet) *stream.DataSet {
	out := &stream.DataSet{}
	for e := range d.All() {
		out.Put(e)
	}
	return out
}

// Storage returns the storage contexts of each association that may be needed, with one transfer syntax in each
// context, so that the server can't choose to convert. Of classes that are known, all go over the first association,
// since some servers send nothing when they can't send all, and what does not fit of their transfer syntaxes over
// further ones. Else all classes are gone through, each with all of its own.
func Storage(classes []string, all bool) [][]dimse.Context {
	known := len(classes) > 0
	if !known {
		classes = everyClass()
	}
	var out [][]dimse.Context
	room := 0
	add := func(class string, syntaxes ...string) {
		if room -= len(syntaxes); room < 0 {
			out, room = append(out, nil), MaxProposed-len(syntaxes)
		}
		last := &out[len(out)-1]
		for _, syntax := range syntaxes {
			*last = append(*last, dimse.Context{AbstractSyntax: class, TransferSyntaxes: []string{syntax}, SCP: true})
		}
	}
	left := map[string][]string{}
	for _, class := range classes {
		if left[class] == nil {
			left[class] = enginesource.TransferSyntaxesOf(class, all)
			if !known {
				add(class, left[class]...)
			}
		}
	}
	for i := 0; known && len(left) > 0; i++ {
		for _, class := range slices.Sorted(maps.Keys(left)) {
			if i == len(left[class]) {
				delete(left, class)
				continue
			}
			add(class, left[class][i])
		}
	}
	return out
}

// everyClass lists the storage SOP classes, those first that are met most; some more than once.
func everyClass() []string {
	list := slices.Clone(UsualClasses)
	for _, modality := range usualModalities {
		list = append(list, dict.StorageClassesOf(modality)...)
	}
	return append(append(list, dict.StorageClasses(true)...), dict.StorageClasses(false)...)
}

// getting writes what arrives.
type getting struct {
	dir      string
	io       command.Streams
	named    bool // the SOP classes were
	received int
	total    int             // the most objects that the server counted over an association
	arrived  map[string]bool // by SOP Instance UID
	failed   map[string]bool // named as failed, and not arrived over another association
	err      error
}

// take writes an object to a file, under a temporary name until it is whole.
func (g *getting) take(_ context.Context, in *dimse.Incoming) dimse.Status {
	if err := g.write(in); err != nil {
		g.err = errors.Join(g.err, err)
		return dimse.OutOfResources
	}
	g.received++
	g.arrived[in.SOPInstanceUID] = true
	delete(g.failed, in.SOPInstanceUID)
	return dimse.Success
}

func (g *getting) write(in *dimse.Incoming) (err error) {
	if !dict.ValidUID(in.SOPInstanceUID) {
		return errors.New("an instance was refused: its SOP Instance UID is not one")
	}
	f, err := os.CreateTemp(g.dir, ".adit-get-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	w := bufio.NewWriterSize(f, 256<<10)
	meta := stream.FileMeta{
		MediaStorageSOPClassUID: in.SOPClassUID, MediaStorageSOPInstanceUID: in.SOPInstanceUID,
		TransferSyntaxUID: in.TransferSyntaxUID,
	}
	_, err = w.Write(meta.AppendTo(nil))
	if err == nil {
		_, err = io.Copy(w, in.Data)
	}
	if err == nil {
		err = w.Flush()
	}
	if err = errors.Join(err, f.Chmod(0o640), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(g.dir, in.SOPInstanceUID+".dcm"))
}

// answered takes the final response over an association. Where only some objects could be sent, the others may come
// over the next one.
func (g *getting) answered(r dimse.GetResult) error {
	unable := r.Status&0xF000 == 0xC000 // so Orthanc answers where it could send nothing
	switch {
	case unable, r.Status == dimse.Success, r.Status == dimse.SubOperationsIncomplete,
		r.Status == dimse.OutOfResourcesSubOps:
	default:
		return statusOf(dimse.CGet, r.Status, r.ErrorComment)
	}
	g.total = max(g.total, r.Completed.Value+r.Failed.Value+r.Warning.Value)
	for _, uid := range r.FailedSOPInstanceUIDs {
		if !g.arrived[uid] {
			g.failed[uid] = true
		}
	}
	return nil
}

// complete reports whether all objects that the server counts or names have arrived, whatever its status. A status of
// failure is believed where the server does not say what failed.
func (g *getting) complete(last dimse.GetResult) bool {
	vague := last.Status != dimse.Success && last.Failed.Value == 0 && len(last.FailedSOPInstanceUIDs) == 0
	return !vague && g.received >= g.total && len(g.failed) == 0
}

// verdict is nil if all is there. What the server could not send may not have been proposed to it.
func (g *getting) verdict(last dimse.GetResult) error {
	switch {
	case g.complete(last) && g.received == 0:
		return errors.New("the server has nothing that matches the keys")
	case g.complete(last):
		return nil
	}
	arrived := words.Plural(g.received, "instance", "instances") + " arrived"
	if total := max(g.total, len(g.arrived)+len(g.failed)); total > g.received {
		arrived = fmt.Sprintf("%d of %d instances arrived", g.received, total)
	}
	err := errors.New("the server says success")
	if last.Status != dimse.Success {
		err = statusOf(dimse.CGet, last.Status, last.ErrorComment)
	}
	hint := "Without --sop-class, rare transfer syntaxes are not proposed, nor SOP classes that the server did not " +
		"name to C-FIND. Name the classes of the missing instances by --sop-class UID"
	if g.named {
		hint = "They may be of other SOP classes than those named by --sop-class, or in private transfer syntaxes. " +
			"Name all SOP classes"
	}
	return fmt.Errorf(
		"%s; the last answer was: %w. %s; adit find -k QueryRetrieveLevel=IMAGE -k SOPClassUID, with the UIDs of "+
			"study and series, shows the classes",
		arrived, err, hint,
	)
}
