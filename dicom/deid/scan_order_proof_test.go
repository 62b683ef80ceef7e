// SPDX-License-Identifier: AGPL-3.0-or-later

package deid_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// relatives are instances of one patient each of which could be judged by what another one tells, in pairs: the first
// of a pair tells something that the second holds.
func relatives(t testing.TB) (all [][]byte) {
	t.Helper()
	latin, cyrillic := []string{"ISO_IR 100"}, []string{"ISO_IR 144"}
	text := func(tag dict.Tag, value string) func(ds *stream.DataSet) {
		return func(ds *stream.DataSet) { ds.Set(tag, value) }
	}
	described := func(terms []string) func(ds *stream.DataSet) {
		return func(ds *stream.DataSet) {
			require.NoError(t, ds.SetCharset(terms...))
			ds.SetBytes(dict.SeriesDescription, dict.LO, []byte("Sch\xe4del"))
		}
	}
	for i, change := range []func(ds *stream.DataSet){
		text(dict.AccessionNumber, "ACC-778812"), text(keptText, "of ACC-778812"),
		text(dict.OperatorsName, "Wisniewska^Olga"), text(keptText, "by Wisniewska"),
		text(dict.PatientComments, "MRN 7781345"), text(keptText, "7781345"),
		text(dict.InstitutionAddress, "Musterweg 77, Neudorf"), text(keptText, "Musterweg 77, Neudorf"),
		text(dict.DeviceSerialNumber, "SN99331472"), func(ds *stream.DataSet) {
			ds.Set(dict.ManufacturerModelName, "SN99331472")
			ds.Set(dict.DeviceSerialNumber, "SN99331472")
			ds.Set(keptText, "SN99331472")
		},
		text(dict.AccessionNumber, "qx77123"), func(ds *stream.DataSet) { // StudyID stays by the profile
			ds.Set(dict.AccessionNumber, "QX77123")
			ds.Set(dict.StudyID, "QX77123")
			ds.Set(keptText, "QX77123")
		},
		described(latin), described(cyrillic), // a word of the vocabulary in one of them alone
		func(ds *stream.DataSet) {
			var item stream.DataSet
			item.Set(dict.PersonName, "Wojcicka^Ewa")
			ds.SetBytes(dict.PixelData, dict.OW, make([]byte, 64))
			ds.SetSequence(dict.DigitalSignaturesSequence, &item)
		}, text(keptText, "Wojcicka"),
	} {
		ds := aCT(t)
		ds.Set(dict.SOPInstanceUID, fmt.Sprintf("1.2.276.0.7230010.9.1.%d", i+1))
		change(ds)
		all = append(all, encode(t, ds, dict.ExplicitVRLittleEndian))
	}
	return all
}

// relativesProfile is the default profile, but that it keeps StudyID, and makes the mistake of keeping Series
// Description.
func relativesProfile(t testing.TB) *deid.Profile {
	t.Helper()
	p, err := deid.LoadProfile([]byte(
		"name: test\nversion: \"1\"\nbase: ps3.15-basic\noptions: [modified-dates, clean-descriptors]\noverrides: [{keyword: StudyID, action: keep}]",
	))
	require.NoError(t, err)
	return p.Broken(dict.SeriesDescription)
}

// outcomeOf returns what becomes of an instance.
func outcomeOf(s *deid.Session, in []byte) string {
	out, _, err := rewrite(s, in, dict.ExplicitVRLittleEndian)
	if err != nil {
		return err.Error()
	}
	return digest(out)
}

// TestScanHeedsNoOrder: what the scan says of an instance doesn't depend on which instances of the patient came before
// it, or come beside it.
func TestScanHeedsNoOrder(t *testing.T) {
	p, all := relativesProfile(t), relatives(t)
	begin := func() *deid.Session { return scanningFor(t, p, aCT(t)) }
	var want []string
	for _, in := range all {
		want = append(want, outcomeOf(begin(), in))
	}
	for seed := range uint64(12) {
		s, got := begin(), make([]string, len(all))
		for _, i := range rand.New(rand.NewPCG(seed, 1)).Perm(len(all)) {
			got[i] = outcomeOf(s, all[i])
		}
		require.Equal(t, want, got, "order %d", seed)
	}
	for range 3 {
		s, got := begin(), make([]string, len(all))
		var wg sync.WaitGroup
		for i := range all {
			wg.Go(func() { got[i] = outcomeOf(s, all[i]) })
		}
		wg.Wait()
		require.Equal(t, want, got, "at once")
	}
}

// TestScanLooksForWhatIsKnown: what the headers of all instances, or the answer to a search, tell of a patient is
// looked for in each instance, the first one too, and is the same in whatever order it was put together.
func TestScanLooksForWhatIsKnown(t *testing.T) {
	p, all := relativesProfile(t), relatives(t)
	reader, err := p.Reader("")
	require.NoError(t, err)
	var told []deid.Known
	for _, in := range all {
		o, err := stream.Open(bytes.NewReader(in), dict.ExplicitVRLittleEndian, stream.Limits{})
		require.NoError(t, err)
		k, err := reader.Header(o)
		require.NoError(t, err)
		require.NoError(t, o.Close())
		told = append(told, k)
	}
	var known deid.Known
	for seed := range uint64(8) {
		var k deid.Known
		for _, i := range rand.New(rand.NewPCG(seed, 2)).Perm(len(told)) {
			k.Add(told[i])
		}
		if seed == 0 {
			known = k
		}
		require.Equal(t, known, k)
	}
	begin := func(k deid.Known) *deid.Session {
		id := deid.PatientIdentity("P-730551", "", "")
		s, err := p.Session(
			deid.Subject{Key: proofKey(3).OfPatient(id), Patient: id, Pseudonym: proofPseudonym, Scan: true, Known: k},
		)
		require.NoError(t, err)
		return s
	}
	var want []string
	for i, in := range all {
		want = append(want, outcomeOf(begin(known), in))
		switch i {
		case 1, 3, 5, 7:
			require.Contains(t, want[i], keptText.String()+" still holds", "instance %d", i)
		case 9, 11, 15: // its model, what the profile lets stay, and what stands behind pixel data of another instance
			require.NotContains(t, want[i], "still holds", "instance %d", i)
		}
	}
	for seed := range uint64(6) {
		s, got := begin(known), make([]string, len(all))
		for _, i := range rand.New(rand.NewPCG(seed, 3)).Perm(len(all)) {
			got[i] = outcomeOf(s, all[i])
		}
		require.Equal(t, want, got, "order %d", seed)
	}

	var answer stream.DataSet
	require.NoError(t, answer.SetCharset("ISO_IR 192"))
	answer.Set(dict.PatientName, "Żółkiewska^Łucja")
	answer.Set(dict.PatientBirthDate, "19530817")
	answer.Set(dict.AccessionNumber, "ACC-778812")
	k, err := reader.Answer(&answer)
	require.NoError(t, err)
	for _, text := range []string{"zolkiewska", "17. August 1953", "ACC-778812"} {
		ds := aCT(t)
		ds.Remove(dict.PatientBirthDate)
		ds.Set(keptText, text)
		in := encode(t, ds, dict.ExplicitVRLittleEndian)
		require.NotContains(t, outcomeOf(begin(deid.Known{}), in), "still holds", text)
		require.Contains(t, outcomeOf(begin(k), in), keptText.String()+" still holds", text)
	}
}

// TestKnownIsBounded: of many values the same ones are known, in any order, and the patient's own are among them.
func TestKnownIsBounded(t *testing.T) {
	reader, err := loadProfile(t).Reader("")
	require.NoError(t, err)
	var told []deid.Known
	for i := range 900 {
		var ds stream.DataSet
		ds.Set(dict.PatientName, "Zubrowski^Jan")
		ds.Set(dict.OperatorsName, fmt.Sprintf("Operator%c%c%c^Anna", 'A'+i%26, 'A'+i/26%26, 'A'+i/676))
		k, err := reader.Answer(&ds)
		require.NoError(t, err)
		told = append(told, k)
	}
	put := func(seed uint64) (k deid.Known) {
		for _, i := range rand.New(rand.NewPCG(seed, 4)).Perm(len(told)) {
			k.Add(told[i])
		}
		return k
	}
	known := put(0)
	require.Equal(t, known, put(1))
	ds := aCT(t)
	ds.Remove(dict.PatientName)
	ds.Set(keptText, "Zubrowski")
	id := deid.PatientIdentity("P-730551", "", "")
	s, err := loadProfile(t).Session(
		deid.Subject{Key: proofKey(3).OfPatient(id), Patient: id, Pseudonym: proofPseudonym, Scan: true, Known: known},
	)
	require.NoError(t, err)
	require.Contains(t, outcomeOf(s, encode(t, ds, dict.ExplicitVRLittleEndian)), "still holds a name")
}
