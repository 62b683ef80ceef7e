// SPDX-License-Identifier: AGPL-3.0-or-later

package deid_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// The proof tests judge the engine by what goes in and what comes out. They use neither its tables nor its parser of
// profiles' insides: what is expected comes from the JSON of the standard's table and from facts written down here.

// tableColumns are the options of Table E.1-1: the name of the column in the JSON, and of the option in a profile.
var tableColumns = []struct{ column, option string }{
	{"", ""}, // the basic profile alone
	{"rtnSafePrivOpt", "retain-safe-private"},
	{"rtnUIDsOpt", "retain-uids"},
	{"rtnDevIdOpt", "retain-device-identity"},
	{"rtnInstIdOpt", "retain-institution-identity"},
	{"rtnPatCharsOpt", "retain-patient-characteristics"},
	{"rtnLongFullDatesOpt", "full-dates"},
	{"rtnLongModifDatesOpt", "modified-dates"},
	{"cleanDescOpt", "clean-descriptors"},
	{"cleanStructContOpt", "clean-structured-content"},
	{"cleanGraphOpt", "clean-graphics"},
}

// tableRow is a row of the JSON, by its keys.
type tableRow map[string]string

// readTable reads testdata/ps3.15-table-e1-1.json.
func readTable(t testing.TB) []tableRow {
	t.Helper()
	b, err := os.ReadFile("testdata/ps3.15-table-e1-1.json")
	require.NoError(t, err)
	var rows []tableRow
	require.NoError(t, json.Unmarshal(b, &rows))
	require.Len(t, rows, 621)
	return rows
}

// tag returns the row's tag; ok is false for the rows of many tags.
func (r tableRow) tag() (tag dict.Tag, ok bool) {
	n, err := strconv.ParseUint(r["id"], 16, 32)
	return dict.Tag(n), err == nil
}

// laterVRs are those of rows that are newer than the dictionary (PS3.6 2022a), read in PS3.6.
var laterVRs = map[dict.Tag]dict.VR{
	0x00080017: dict.UI, 0x00080019: dict.UI, 0x00081088: dict.LO,
	0x00120022: dict.LO, 0x00120023: dict.SQ, 0x00120032: dict.LO,
	0x00120041: dict.LO, 0x00120043: dict.LO, 0x00120055: dict.LO,
	0x00120073: dict.LO, 0x00181204: dict.DA, 0x00181205: dict.DA,
	0x00200027: dict.LO, 0x30020121: dict.LO, 0x30020123: dict.LT,
	0x3006002D: dict.DT, 0x3006002E: dict.DT, 0x3006004D: dict.SQ,
	0x3006004E: dict.SQ, 0x003A0329: dict.LO, 0x003A032B: dict.LO,
}

func vrOf(t testing.TB, tag dict.Tag) dict.VR {
	t.Helper()
	if vr, ok := laterVRs[tag]; ok {
		return vr
	}
	e, ok := dict.Lookup(tag)
	require.True(t, ok, "no VR for %s", tag)
	if e.VR == dict.UN || e.VR == 0 {
		return dict.OB // of several VRs
	}
	return e.VR
}

// loadProfile makes a profile of the basic base with these options.
func loadProfile(t testing.TB, options ...string) *deid.Profile {
	t.Helper()
	p, err := deid.LoadProfile(fmt.Appendf(
		nil, "name: proof\nversion: \"1\"\nbase: ps3.15-basic\noptions: [%s]\n", strings.Join(options, ", "),
	))
	require.NoError(t, err)
	return p
}

// proofKey is any key; another number gives another key.
func proofKey(n byte) deid.Key {
	var k deid.Key
	for i := range k {
		k[i] = byte(i)*7 + n
	}
	return k
}

// deadline is what no program that a test starts may take: a safety, not a measure.
const deadline = time.Minute

const proofPseudonym = "PSEUDO4711"

// sessionFor begins a session for the patient of a data set.
func sessionFor(t testing.TB, p *deid.Profile, key deid.Key, ds *stream.DataSet) *deid.Session {
	t.Helper()
	patient := deid.PatientIdentity(ds.String(dict.PatientID), "", ds.String(dict.StudyInstanceUID))
	s, err := p.Session(deid.Subject{Key: key.OfPatient(patient), Patient: patient, Pseudonym: proofPseudonym})
	require.NoError(t, err)
	return s
}

// rewrite de-identifies an encoded data set.
func rewrite(s *deid.Session, in []byte, syntax string) ([]byte, deid.Report, error) {
	o, err := stream.Open(bytes.NewReader(in), syntax, stream.Limits{})
	if err != nil {
		return nil, deid.Report{}, err
	}
	defer o.Close()
	report, err := s.Rewrite(o)
	if err != nil {
		return nil, *report, err
	}
	out, err := io.ReadAll(o)
	return out, *report, err
}

func encode(t testing.TB, ds *stream.DataSet, syntax string) []byte {
	t.Helper()
	b, err := ds.Encode(syntax)
	require.NoError(t, err)
	return b
}

func parse(t testing.TB, b []byte, syntax string) *stream.DataSet {
	t.Helper()
	ds, err := stream.ParseDataSet(b, syntax, stream.Limits{Header: 1 << 28})
	require.NoError(t, err)
	return ds
}

// itemsOf returns the items of a sequence, also of one encoded as UN (PS3.5 6.2.2 note 2).
func itemsOf(t testing.TB, e stream.Element) []*stream.DataSet {
	t.Helper()
	if e.VR != dict.UN || len(e.Value) == 0 {
		return e.Items
	}
	b := []byte{byte(e.Tag >> 16), byte(e.Tag >> 24), byte(e.Tag), byte(e.Tag >> 8)}
	n := len(e.Value)
	b = append(b, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
	return parse(t, append(b, e.Value...), dict.ImplicitVRLittleEndian).Items(e.Tag)
}
