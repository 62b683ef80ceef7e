// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/internal/text"
)

// listed is a study to transfer, and where the user named it.
type listed struct {
	client.NewStudy
	place string // "line 7"; empty: on the command line
}

func (l listed) String() string {
	if l.place == "" {
		return l.StudyInstanceUID
	}
	return l.StudyInstanceUID + " (" + l.place + ")"
}

const (
	maxStudyFile = 64 << 20
	shownFaults  = 20 // of a list
)

// faults are what is wrong with a list: all of it is told at once, up to a bound.
type faults struct {
	shown []string
	more  int
}

func (f *faults) addf(place, format string, args ...any) {
	if len(f.shown) == shownFaults {
		f.more++
		return
	}
	text := fmt.Sprintf(format, args...)
	if place != "" {
		text = place + ": " + text
	}
	f.shown = append(f.shown, text)
}

// err is nil if there is no fault.
func (f *faults) err() error {
	if len(f.shown) == 0 {
		return nil
	}
	text := strings.Join(f.shown, "\n  ")
	if f.more > 0 {
		text += fmt.Sprintf("\n  and %d more faults like these", f.more)
	}
	return command.Usage("no job was made; correct --study:\n  %s", text)
}

// readStudies reads what --study names: UIDs, files (@FILE) and the standard input (-). chosen: ADIT chooses the
// pseudonyms that are not given.
func readStudies(args []string, chosen bool) (studies []listed, err error) {
	var wrong faults
	for _, arg := range args {
		arg = strings.TrimSpace(arg)
		path, isFile := strings.CutPrefix(arg, "@")
		if !isFile && arg != "-" {
			studies = append(studies, listed{NewStudy: client.NewStudy{StudyInstanceUID: arg}})
			continue
		}
		in := os.Stdin
		if isFile {
			if in, err = os.Open(path); err != nil {
				return nil, err
			}
		}
		text, err := io.ReadAll(io.LimitReader(in, maxStudyFile+1))
		if err := errors.Join(err, in.Close()); err != nil {
			return nil, err
		}
		read, err := parseStudies(text, chosen, &wrong)
		if err != nil {
			return nil, command.Usage("--study %s: %w", command.Printable(arg), err)
		}
		studies = append(studies, read...)
	}
	check(studies, &wrong)
	return studies, wrong.err()
}

// check finds what is no UID, and studies that are named twice.
func check(studies []listed, wrong *faults) {
	first := map[string]listed{}
	for _, s := range studies {
		uid := s.StudyInstanceUID
		before, twice := first[uid]
		switch {
		case twice && before.place != "":
			wrong.addf(s.place, "study %s is in %s already", uid, before.place)
		case twice:
			wrong.addf(s.place, "study %s is named twice", uid)
		case !dict.ValidUID(uid):
			wrong.addf(s.place, "%q is not a DICOM UID", uid)
		}
		for _, series := range s.SeriesInstanceUIDs {
			if !dict.ValidUID(series) {
				wrong.addf(s.place, "study %s: %q is not a DICOM UID of a series", uid, series)
			}
		}
		first[uid] = s
	}
}

// studyColumn is the column that a CSV file must have.
const studyColumn = "study_instance_uid"

// parseStudies reads a UID per line, or CSV with a header.
func parseStudies(text []byte, chosen bool, wrong *faults) ([]listed, error) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	switch {
	case len(text) > maxStudyFile:
		return nil, fmt.Errorf("the list is larger than %d MB; split it", maxStudyFile>>20)
	case !utf8.Valid(text):
		return nil, errors.New("the list is not UTF-8 text; save it as UTF-8")
	}
	var studies []listed
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if len(studies) == 0 && strings.Contains(strings.ToLower(line), studyColumn) {
			return parseCSV(string(text), line, chosen, wrong)
		}
		studies = append(studies, listed{client.NewStudy{StudyInstanceUID: line}, fmt.Sprintf("line %d", n)})
	}
	if len(studies) == 0 {
		return nil, errors.New("the list is empty")
	}
	return studies, nil
}

// studyColumns are the columns; the last two are in what adit job failures writes, and are not read.
var studyColumns = []string{studyColumn, "pseudonym", "patient_id", "series_instance_uids", "status", "message"}

// parseCSV reads CSV; its separator is that of the header.
func parseCSV(list, header string, chosen bool, wrong *faults) ([]listed, error) {
	r := csv.NewReader(strings.NewReader(list))
	r.Comment, r.TrimLeadingSpace, r.FieldsPerRecord = '#', true, -1
	if strings.Contains(header, ";") {
		r.Comma = ';'
	}
	head, err := r.Read()
	if err != nil {
		return nil, err
	}
	for i, name := range head {
		head[i] = strings.ToLower(strings.TrimSpace(name))
		if !slices.Contains(studyColumns, head[i]) {
			return nil, fmt.Errorf("there is no column %q; the columns are %s", name, strings.Join(studyColumns, ", "))
		}
		if slices.Contains(head[:i], head[i]) {
			return nil, fmt.Errorf("the column %s is there twice", head[i])
		}
	}
	var studies []listed
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		at, _ := r.FieldPos(0)
		place := fmt.Sprintf("line %d", at)
		if len(row) != len(head) {
			wrong.addf(place, "it has %d fields, and the header has %d", len(row), len(head))
			continue
		}
		s := listed{place: place}
		for i, value := range row {
			s.set(head[i], strings.TrimSpace(value), chosen, wrong)
		}
		studies = append(studies, s)
	}
	if len(studies) == 0 && len(wrong.shown) == 0 {
		return nil, errors.New("the list holds no study below its header")
	}
	return studies, nil
}

// set takes the value of a column. chosen: a pseudonym that is not given is chosen by ADIT.
func (l *listed) set(column, value string, chosen bool, wrong *faults) {
	switch column {
	case studyColumn:
		l.StudyInstanceUID = value
	case "pseudonym":
		if l.Pseudonym = text.FromCell(value); value == "" && !chosen {
			wrong.addf(l.place, "the pseudonym is empty; give one, leave the column out, or add --pseudonymize")
		}
	case "patient_id":
		l.PatientID = text.FromCell(value)
	case "series_instance_uids":
		l.SeriesInstanceUIDs = strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == ';' })
	}
}

// namedError is a problem in whose text the studies have their UIDs.
type namedError struct {
	problem error
	text    string
}

func (e *namedError) Error() string { return e.text }
func (e *namedError) Unwrap() error { return e.problem }

var studyField = regexp.MustCompile(`studies\[(\d+)\](\.\w+(?:\[\d+\])?)?`)

// nameStudies says which study a problem is about where the server names its place in the request.
func nameStudies(err error, studies []listed) error {
	if err == nil {
		return nil
	}
	text := studyField.ReplaceAllStringFunc(err.Error(), func(field string) string {
		m := studyField.FindStringSubmatch(field)
		i, err := strconv.Atoi(m[1])
		if err != nil || i >= len(studies) {
			return field
		}
		named := "study " + studies[i].String()
		if m[2] != "" {
			named += ", " + m[2][1:]
		}
		return named
	})
	return &namedError{err, text}
}
