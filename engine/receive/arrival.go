// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"slices"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/engine/source"
)

// Arrival is an instance that arrives by C-STORE, before it is known whose it is. It is used by one goroutine.
type Arrival struct {
	*dimse.Incoming
	Abort  func()
	opened bool
	Obj    *stream.Object
	err    error
}

// NewArrival returns the arrival of an instance. abort ends the association over which it comes. Close must be called.
func NewArrival(in *dimse.Incoming, abort func()) *Arrival {
	return &Arrival{Incoming: in, Abort: abort}
}

// Open reads the header, once. Who opens it owns the instance.
func (a *Arrival) Open() (*stream.Object, error) {
	if !a.opened {
		a.opened = true
		a.Obj, a.err = stream.Open(a.Data, a.TransferSyntaxUID, stream.Limits{})
	}
	return a.Obj, a.err
}

// UIDs reads the Study and Series Instance UID out of the instance's header; ok is false if it can't be read.
func (a *Arrival) UIDs() (study, series string, ok bool) {
	obj, err := a.Open()
	if err != nil {
		return "", "", false
	}
	return obj.Header().Text(dict.StudyInstanceUID), obj.Header().Text(dict.SeriesInstanceUID), true
}

// Close frees what the header took.
func (a *Arrival) Close() {
	if a.Obj != nil {
		_ = a.Obj.Close() // what is left unread is drained by the association
		a.Obj = nil
	}
}

// Choose returns the answer to a presentation context of somebody who wants to store (dimse.Server.Choose): storage
// classes, registered or private, C-ECHO, and reports about storage commitment. plain tells of a called AE title that
// it takes nothing compressed. Out of several transfer syntaxes of one context none with loss is taken, for which the
// peer might compress.
func Choose(plain func(calledAE string) bool) func(*dimse.AssociationRequest, ul.ContextRQ) (string, ul.ContextResult) {
	return func(rq *dimse.AssociationRequest, c ul.ContextRQ) (string, ul.ContextResult) {
		service := c.AbstractSyntax == dict.Verification || c.AbstractSyntax == dict.StorageCommitmentPushModel
		if _, registered := dict.LookupUID(c.AbstractSyntax); registered &&
			!service && !dict.IsStorageClass(c.AbstractSyntax) {
			return "", ul.ContextAbstractSyntaxRefused
		}
		syntax := chosen(c.TransferSyntaxes, plain(rq.CalledAE), source.MayHavePixels(c.AbstractSyntax))
		if syntax == "" {
			return "", ul.ContextTransferSyntaxesRefused
		}
		return syntax, ul.ContextAccepted
	}
}

// chosen returns the transfer syntax to take; none if there is none. What isn't compressed is taken in any case: it is
// converted on the way.
func chosen(proposed []string, plain, pixels bool) string {
	if plain || !pixels {
		for _, wanted := range source.DataSyntaxes {
			if slices.Contains(proposed, wanted) {
				return wanted
			}
		}
	}
	if plain {
		return ""
	}
	for _, acceptable := range []func(u string) bool{
		func(u string) bool { return !dict.TransferSyntaxOf(u).Lossy && u != dict.ExplicitVRBigEndian },
		func(u string) bool { return !dict.TransferSyntaxOf(u).Lossy },
		func(string) bool { return true },
	} {
		if i := slices.IndexFunc(proposed, acceptable); i >= 0 {
			return proposed[i]
		}
	}
	return ""
}
