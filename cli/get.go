// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
)

type getCmd struct {
	peer
	model
	OutputDirectory string   `name:"od" short:"o" type:"path" default:"." placeholder:"DIR" help:"Where the files go, named by SOP Instance UID (${default}). -od works as well."`
	SOPClasses      []string `name:"sop-class" placeholder:"UID" help:"Propose only these SOP classes, so that every transfer syntax of them can be."`
}

// maxProposed is how many presentation contexts an association can have beside that of C-GET.
const maxProposed = 127

// compressed are the transfer syntaxes of images beside the plain ones.
var compressed = []string{
	dict.JPEGLosslessSV1, dict.JPEG2000Lossless, dict.JPEGLSLossless, dict.RLELossless, dict.JPEGBaseline8Bit, dict.JPEGExtended12Bit,
	dict.JPEG2000, dict.JPEGLSNearLossless, dict.DeflatedExplicitVRLittleEndian, dict.ExplicitVRBigEndian,
}

// Run is C-GET.
func (c *getCmd) Run(ctx context.Context, io streams) error {
	query, err := c.identifier()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.OutputDirectory, 0o750); err != nil {
		return err
	}
	root := dict.StudyRootQueryRetrieveInformationModelGet
	if c.PatientRoot {
		root = dict.PatientRootQueryRetrieveInformationModelGet
	}
	contexts := append([]dimse.Context{{AbstractSyntax: root, TransferSyntaxes: plain}}, c.storage()...)
	g := getting{dir: c.OutputDirectory, io: io, named: len(c.SOPClasses) > 0}
	err = c.call(ctx, contexts, func(a *dimse.Association) error {
		r, err := a.Get(ctx, dimse.GetRequest{SOPClassUID: root, Identifier: query}, g.take)
		if err != nil {
			return err
		}
		return g.result(r)
	})
	fmt.Fprintf(io.err, "%d objects received\n", g.received)
	return errors.Join(err, g.err)
}

// storage proposes one transfer syntax in each context, so that nothing is converted: plain ones of every class, and of
// few classes the compressed ones as well.
func (c *getCmd) storage() []dimse.Context {
	classes, syntaxes := c.SOPClasses, append(append([]string{}, plain...), compressed...)
	if len(classes) == 0 {
		classes = dict.StorageClasses(true)
	}
	if len(classes)*len(syntaxes) > maxProposed {
		return sharedContexts(classes, syntaxes)
	}
	var out []dimse.Context
	for _, class := range classes {
		for _, syntax := range syntaxes {
			out = append(out, dimse.Context{AbstractSyntax: class, TransferSyntaxes: []string{syntax}, SCP: true})
		}
	}
	return out
}

// sharedContexts leave the choice of the transfer syntax to the peer. What is rare gives way where there is no room.
func sharedContexts(classes, syntaxes []string) []dimse.Context {
	var out []dimse.Context
	add := func(ifRare bool) {
		for _, class := range classes {
			if seldom(class) == ifRare && len(out) < maxProposed {
				out = append(out, dimse.Context{AbstractSyntax: class, TransferSyntaxes: syntaxes, SCP: true})
			}
		}
	}
	add(false)
	add(true)
	return out
}

// rare are SOP classes of security and material inspection (DICOS, DICONDE), of measurements of the eye, of radiation
// instructions, of protocols, inventories and displays, of implant templates and of rare waveforms: below 1.2.840.10008.5.1.4.
var rare = []string{
	"1.1.501.", "1.1.601.", "1.1.78.", "1.1.79.", "1.1.80.", "1.1.81.", "1.1.82.", "1.1.68.", "1.1.200.", "34.", "38.", "39.", "43.", "44.", "45.",
	"1.1.131", "1.1.201.", "1.1.9.4.", "1.1.9.5.", "1.1.9.6.", "1.1.9.7.", "1.1.9.8.", "1.1.9.100.",
}

func seldom(class string) bool {
	rest, standard := strings.CutPrefix(class, "1.2.840.10008.5.1.4.")
	if !standard {
		return false
	}
	for _, family := range rare {
		if strings.HasPrefix(rest, family) {
			return true
		}
	}
	// The second generation of RT objects has two digits.
	number, rt := strings.CutPrefix(rest, "1.1.481.")
	return rt && len(number) == 2
}

// getting writes what arrives.
type getting struct {
	dir      string
	io       streams
	named    bool // the SOP classes were
	received int
	err      error
}

// take writes an object to a file, under a temporary name until it is whole.
func (g *getting) take(_ context.Context, in *dimse.Incoming) dimse.Status {
	if err := g.write(in); err != nil {
		g.err = errors.Join(g.err, err)
		return dimse.OutOfResources
	}
	g.received++
	return dimse.Success
}

func (g *getting) write(in *dimse.Incoming) (err error) {
	if !dict.ValidUID(in.SOPInstanceUID) {
		return errors.New("an object was refused: its SOP Instance UID is not one")
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
	meta := stream.FileMeta{MediaStorageSOPClassUID: in.SOPClassUID, MediaStorageSOPInstanceUID: in.SOPInstanceUID, TransferSyntaxUID: in.TransferSyntaxUID}
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

// result judges the final response against what came: a peer that says "success" for less has failed. What it could not send may not have
// been proposed to it.
func (g *getting) result(r dimse.GetResult) error {
	for _, uid := range r.FailedSOPInstanceUIDs {
		fmt.Fprintf(g.io.err, "not sent: %s\n", printable(uid))
	}
	var err error
	switch {
	case r.Status == dimse.SubOperationsIncomplete, r.Status == dimse.OutOfResourcesSubOps:
		err = statusOf(dimse.CGet, r.Status, r.ErrorComment)
	case r.Status != dimse.Success:
		return statusOf(dimse.CGet, r.Status, r.ErrorComment)
	case r.Failed.Present && r.Failed.Value > 0:
		err = fmt.Errorf("the server says success, and that %d objects failed", r.Failed.Value)
	case r.Completed.Present && r.Completed.Value != g.received:
		err = fmt.Errorf("the server says that it sent %d objects, and %d arrived", r.Completed.Value, g.received)
	}
	if err == nil || g.err != nil { // which says why objects were not taken
		return err
	}
	hint := "Without --sop-class, the server must choose one transfer syntax for each SOP class, and rare classes are not proposed. Name the classes of the " +
		"missing objects by --sop-class UID"
	if g.named {
		hint = "They may be of other SOP classes than those named by --sop-class, or in other transfer syntaxes. Name all SOP classes, a few at a time"
	}
	return fmt.Errorf("%w. %s; adit find -k QueryRetrieveLevel=IMAGE -k SOPClassUID, with the UIDs of study and series, shows the classes", err, hint)
}
