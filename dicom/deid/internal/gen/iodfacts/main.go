// SPDX-License-Identifier: AGPL-3.0-or-later

// Command iodfacts gathers which type (PS3.5 7.4) the attributes of Table E.1-1 with alternative actions have in the
// objects of each storage SOP class, and writes them to ../iod.txt. Facts are taken from two programs that know
// PS3.3 and are no part of ADIT: of the data set itself from what dciodvfy (Debian's dicom3tools, edition of 2022)
// says to an object that lacks these attributes and to one that has them empty; of sequence items from the module
// tables that come with GDCM (Debian's libgdcm3.0, edition of 2008), followed through their macros.
// Run from dicom/deid: go run ./internal/gen/iodfacts
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

const (
	tableE11 = "testdata/ps3.15-table-e1-1.json"
	modules  = "/usr/share/gdcm-3.0/XML/Part3.xml"
)

// byHand are sequences newer than GDCM's tables, read in PS3.3.
var byHand = []fact{
	{dict.InstructionSequence, dict.InstructionPerformedDateTime, 1},   // C.7.6.25: 1C
	{dict.XRay3DAcquisitionSequence, dict.StartAcquisitionDateTime, 1}, // C.8.21.3.1: 1C
	{dict.XRay3DAcquisitionSequence, dict.EndAcquisitionDateTime, 1},
	{dict.XRay3DAcquisitionSequence, dict.ContrastBolusAgent, 1},
	{dict.XRay3DAcquisitionSequence, dict.SourceImageSequence, 1},
	{dict.ContributingEquipmentSequence, dict.OperatorsName, 3}, // C.12.1
	{dict.ContributingEquipmentSequence, dict.OperatorIdentificationSequence, 3},
	{dict.ContributingEquipmentSequence, dict.InstitutionCodeSequence, 3},
}

type fact struct {
	parent, tag dict.Tag
	kind        int // 1, 2 or 3; conditional ones count as if the condition holds
}

func main() {
	log.SetFlags(0)
	var b bytes.Buffer
	if err := gather(&b); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile("internal/gen/iod.txt", b.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
}

func gather(b *bytes.Buffer) error {
	rows, err := alternatives()
	if err != nil {
		return err
	}
	b.WriteString(`# Attribute types of the rows of Table E.1-1 that have alternatives (PS3.3), written by dicom/deid/internal/gen/iodfacts.
# class UID TAG:TYPE…: in the data set itself, by dicom3tools 1.00~20220618; what isn't named is type 3 or no part of it.
#   The whole slide image is by hand, from PS3.3 A.32.8: dciodvfy breaks off on it.
# item PARENT TAG:TYPE…: in items of a sequence, by the tables of GDCM 3.0.21 (PS3.3 2008) and by hand; the strictest of all modules.
`)
	if err := classes(b, rows); err != nil {
		return err
	}
	return items(b, rows)
}

func alternatives() ([]dict.Tag, error) {
	b, err := os.ReadFile(tableE11)
	if err != nil {
		return nil, err
	}
	var table []struct {
		ID           string `json:"id"`
		BasicProfile string `json:"basicProfile"`
	}
	if err := json.Unmarshal(b, &table); err != nil {
		return nil, err
	}
	rows := []dict.Tag{ // of one action there, but not in ../table
		dict.ResponsiblePerson, dict.ResponsibleOrganization,
		dict.PresentationCreationDate, dict.PresentationCreationTime,
	}
	for _, r := range table {
		if !strings.Contains(r.BasicProfile, "/") {
			continue
		}
		n, err := strconv.ParseUint(r.ID, 16, 32)
		if err != nil {
			return nil, err
		}
		rows = append(rows, dict.Tag(n))
	}
	slices.Sort(rows)
	return rows, nil
}

// classes asks dciodvfy about every storage SOP class.
func classes(b *bytes.Buffer, rows []dict.Tag) (err error) {
	dir, err := os.MkdirTemp("", "iodfacts")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "object.dcm")
	for _, uid := range slices.Sorted(slices.Values(dict.StorageClasses(false))) {
		without, err := verify(path, uid, nil)
		if err != nil {
			return err
		}
		with, err := verify(path, uid, rows)
		if err != nil {
			return err
		}
		if !strings.Contains(without, "Module=") || !strings.Contains(with, "Module=") {
			continue // not an object that it knows
		}
		if uid == dict.VLWholeSlideMicroscopyImageStorage {
			return errors.New("dciodvfy knows the whole slide image now: take its facts instead of those by hand")
		}
		var line strings.Builder
		for _, tag := range rows {
			if kind := kindOf(tag, without+with); kind < 3 {
				fmt.Fprintf(&line, " %08X:%d", uint32(tag), kind)
			}
		}
		fmt.Fprintf(b, "class %s%s\n", uid, line.String())
	}
	fmt.Fprintln(b, "class", dict.VLWholeSlideMicroscopyImageStorage,
		"00080023:1 0008002A:1 00080033:1 00081111:1 00100020:2 00102203:2 00181000:1 00400555:2 22000002:2 22000005:2")
	return nil
}

// verify returns dciodvfy's words on an object with these attributes, empty, and nothing else.
func verify(path, uid string, empty []dict.Tag) (string, error) {
	var ds stream.DataSet
	ds.Set(dict.SOPClassUID, uid)
	ds.Set(dict.SOPInstanceUID, "1.2.3")
	for _, tag := range empty {
		if dict.VROf(tag) == dict.SQ {
			ds.SetSequence(tag)
		} else {
			ds.Set(tag)
		}
	}
	meta := stream.FileMeta{
		MediaStorageSOPClassUID: uid, MediaStorageSOPInstanceUID: "1.2.3",
		TransferSyntaxUID: dict.ExplicitVRLittleEndian,
	}
	b, err := ds.AppendTo(meta.AppendTo(nil), dict.ExplicitVRLittleEndian)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return "", err
	}
	// it exits with 1 on errors in the object, or by a signal
	out, err := exec.CommandContext(context.Background(), "dciodvfy", path).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return "", err
	}
	return string(out), nil
}

var said = regexp.MustCompile(`(?m)^Error - .*Type ([123])C? .*Element=<(\w+)>`)

func kindOf(tag dict.Tag, words string) int {
	kind := 3
	for _, m := range said.FindAllStringSubmatch(words, -1) {
		if m[2] == tag.Keyword() {
			kind = min(kind, int(m[1][0]-'0'))
		}
	}
	absent := fmt.Sprintf("not present in standard DICOM IOD - (0x%04x,0x%04x)", tag.Group(), tag.Element())
	if kind == 3 && !strings.Contains(words, absent) {
		// dciodvfy is silent, since the condition doesn't hold: 2 or 2C in each module that has them (C.7.2.2,
		// C.8.8.16, C.7.6.4)
		switch tag {
		case dict.PatientSexNeutered, dict.ReviewerName, dict.ContrastBolusAgent, dict.ResponsiblePerson,
			dict.ResponsibleOrganization:
			kind = 2
		case dict.ContentCreatorName: // 2 in editions before 2022 (Table 10-12): empty is right for all
			kind = 2
		}
	}
	return kind
}

type tables struct {
	XMLName xml.Name `xml:"tables"`
	All     []module `xml:",any"`
}

type module struct {
	XMLName xml.Name `xml:""`
	Table   string   `xml:"table,attr"`
	Lines   []line   `xml:",any"`
}

type line struct {
	XMLName xml.Name `xml:""`
	Group   string   `xml:"group,attr"`
	Element string   `xml:"element,attr"`
	Name    string   `xml:"name,attr"`
	Type    string   `xml:"type,attr"`
	Ref     string   `xml:"ref,attr"`
}

var tableName = regexp.MustCompile(`[Tt]able ?([A-F0-9][\w.\-]*)`)

// walker goes through modules and their macros.
type walker struct {
	rows   []dict.Tag
	macros map[string]module
	facts  map[[2]dict.Tag]int
}

func (w *walker) add(f fact) {
	key := [2]dict.Tag{f.parent, f.tag}
	if old, ok := w.facts[key]; !ok || f.kind < old {
		w.facts[key] = f.kind
	}
}

// walk takes the facts of a module or macro whose lines stand within the sequences of path.
func (w *walker) walk(m module, path []dict.Tag, depth int) {
	if depth > 6 { // content items contain content items
		return
	}
	here := slices.Clone(path)
	for _, l := range m.Lines {
		text := l.Name + l.Ref
		level := len(path) + strings.Count(text[:len(text)-len(strings.TrimLeft(text, "> "))], ">")
		if level > len(here) {
			continue // a table that skips a level
		}
		here = here[:level]
		if t := tableName.FindStringSubmatch(l.Ref); l.XMLName.Local == "include" && t != nil {
			w.walk(w.macros[strings.TrimRight(t[1], ".")], here, depth+1)
		}
		n, err := strconv.ParseUint(l.Group+l.Element, 16, 32)
		if err != nil {
			continue
		}
		tag := dict.Tag(n)
		if len(here) > 0 && slices.Contains(w.rows, tag) && l.Type != "" {
			w.add(fact{here[len(here)-1], tag, int(l.Type[0] - '0')})
		}
		here = append(here, tag)
	}
}

// items writes the facts about items of sequences.
func items(out *bytes.Buffer, rows []dict.Tag) error {
	b, err := os.ReadFile(modules)
	if err != nil {
		return fmt.Errorf("GDCM's tables: %w; apt-get install libgdcm3.0", err)
	}
	var doc tables
	if err := xml.Unmarshal(b, &doc); err != nil {
		return err
	}
	w := walker{rows: rows, macros: map[string]module{}, facts: map[[2]dict.Tag]int{}}
	for _, m := range doc.All {
		if m.XMLName.Local == "macro" {
			w.macros[m.Table] = m
		}
	}
	for _, m := range doc.All {
		if m.XMLName.Local == "module" || m.XMLName.Local == "macro" {
			w.walk(m, nil, 0)
		}
	}
	for _, f := range byHand {
		w.add(f)
	}
	lines := map[dict.Tag]string{}
	for _, key := range slices.SortedFunc(
		maps.Keys(w.facts), func(a, b [2]dict.Tag) int { return slices.Compare(a[:], b[:]) },
	) {
		lines[key[0]] += fmt.Sprintf(" %08X:%d", uint32(key[1]), w.facts[key])
	}
	for _, parent := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintf(out, "item %08X%s\n", uint32(parent), lines[parent])
	}
	return nil
}
