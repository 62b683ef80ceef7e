// SPDX-License-Identifier: AGPL-3.0-or-later

package deidentify

import (
	"encoding/csv"
	"errors"
	"os"
	"strconv"
	"strings"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/dicom/deid"
)

// deidReport is a CSV file with a line per input file. It may go out beside the data: objects are named by their new
// UIDs, and files by their number in the order of the command's arguments and of names in folders, since a path may
// hold a patient's name.
type deidReport struct {
	profile *deid.Profile
	file    *os.File
	csv     *csv.Writer
}

func openReport(path string, profile *deid.Profile) (*deidReport, error) {
	f, err := command.CreateNew(path)
	if err != nil {
		return nil, err
	}
	r := &deidReport{profile, f, csv.NewWriter(f)}
	head := []string{"File", "Result", "Reason", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"}
	for a := deid.Keep; a <= deid.Assign; a++ {
		head = append(head, a.String())
	}
	return r, r.csv.Write(append(
		head, "BehindPixelData", "Codes", "MovedToUTF8", "AssumedCharacterSet",
		"Profile", "ProfileVersion", "ProfileSHA256", "TrailingPixelBytes", "Detail",
	))
}

// write adds what became of the file of a place in the list. Without a report it does nothing.
func (r *deidReport) write(i int, result, reason string, o *deidObject) error {
	if r == nil {
		return nil
	}
	line := []string{strconv.Itoa(i + 1), result, reason, o.study, o.series, o.instance}
	for a := deid.Keep; a <= deid.Assign; a++ {
		line = append(line, strconv.Itoa(o.report.Count(a)))
	}
	moved := ""
	if o.report.ToUTF8 {
		moved = "yes"
	}
	line = append(line, strconv.Itoa(o.report.Behind), strings.Join(o.report.Codes, " "), moved)
	return r.csv.Write(append(
		line, o.report.AssumedCharset, r.profile.Name(), r.profile.Version(),
		r.profile.Hash(), strconv.FormatInt(o.report.Trailing, 10), detailOf(o.err),
	))
}

// detailOf says why an object is left out, by attributes and rules; nothing of errors that may name a path.
func detailOf(err error) string {
	if refused, ok := errors.AsType[*deid.RefusedError](err); ok {
		return refused.Detail
	}
	unsafe, ok := errors.AsType[*deid.UnsafeError](err)
	switch {
	case !ok:
		return ""
	case len(unsafe.Findings) == 0:
		return unsafe.Detail
	}
	var found []string
	for _, f := range unsafe.Findings {
		found = append(found, f.String()+": "+f.Kind.Rule())
	}
	return strings.Join(found, "; ")
}

func (r *deidReport) close() error {
	if r == nil {
		return nil
	}
	r.csv.Flush()
	return errors.Join(r.csv.Error(), r.file.Close())
}
