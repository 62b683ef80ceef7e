// SPDX-License-Identifier: AGPL-3.0-or-later

package pacs_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/ul"
)

func TestFindStudies(t *testing.T) {
	studies := phantom.DemoStudies()
	a := dial(t, start(t, pacs.Config{AETitle: "PACS", Studies: studies}))
	for _, test := range []struct {
		name  string
		keys  []string
		found []int // by index
	}{
		{"all", nil, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
		{"universal", []string{"PatientName", "*"}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
		{"patient ID", []string{"PatientID", "PHANTOM-001"}, []int{0, 1}},
		{"wild card", []string{"PatientID", "PHANTOM-00?"}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
		{"wild card in the middle", []string{"StudyDescription", "C*-up"}, []int{1}},
		{"name without regard to case", []string{"PatientName", "phantom^a*"}, []int{0, 1}},
		{"name in Latin-1", []string{"PatientName", "Phäntom^Bêta"}, []int{2, 3}},
		{"name in kanji", []string{"PatientName", "幻影^三"}, []int{4, 5}},
		{"name in Cyrillic", []string{"PatientName", "Фантом*"}, []int{6}},
		{"date", []string{"StudyDate", "20240506"}, []int{7}},
		{"range", []string{"StudyDate", "20240415-20240501"}, []int{1, 6}},
		{"range without end", []string{"StudyDate", "20240604-"}, []int{10, 11}},
		{"range without beginning", []string{"StudyDate", "-20240108"}, []int{0}},
		{"time", []string{"StudyTime", "0800-0915"}, []int{0, 1}},
		{"modalities", []string{"ModalitiesInStudy", "SR"}, []int{0, 3, 6, 10}},
		{"two keys", []string{"ModalitiesInStudy", "SR", "PatientID", "PHANTOM-004"}, []int{6}},
		{"accession number", []string{"AccessionNumber", "DEMO-0003"}, []int{2}},
		{"list of UIDs", []string{"StudyInstanceUID", studies[3].StudyInstanceUID + `\` + studies[9].StudyInstanceUID + `\1.2.3`}, []int{3, 9}},
		{"a key of a lower level", []string{"SeriesDescription", "T1 axial"}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
		{"none", []string{"PatientID", "nobody"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := []string{}
			for _, i := range test.found {
				want = append(want, studies[i].StudyInstanceUID)
			}
			require.Equal(t, want, values(find(t, a, findClass, keys("STUDY", test.keys...)), dict.StudyInstanceUID))
		})
	}
}

func TestFindAnswersWhatWasAsked(t *testing.T) {
	studies := phantom.DemoStudies()
	p := start(t, pacs.Config{AETitle: "PACS", Studies: studies})
	a := dial(t, p)

	got := find(t, a, findClass, keys("STUDY", "StudyInstanceUID", studies[4].StudyInstanceUID, "PatientName", "",
		"ModalitiesInStudy", "", "NumberOfStudyRelatedSeries", "",
		"NumberOfStudyRelatedInstances", "", "RetrieveAETitle", "",
		"SeriesDescription", "", "OtherPatientIDsSequence", ""))
	require.Len(t, got, 1)
	ds := got[0]
	require.Equal(t, studies[4].Spec.Patient.Name, ds.String(dict.PatientName))
	require.Equal(t, []string{"ISO 2022 IR 6", "ISO 2022 IR 87"}, ds.Strings(dict.SpecificCharacterSet))
	require.Equal(t, []string{"MR", "OT"}, ds.Strings(dict.ModalitiesInStudy))
	require.Equal(t, "2", ds.String(dict.NumberOfStudyRelatedSeries))
	require.Equal(t, "22", ds.String(dict.NumberOfStudyRelatedInstances))
	require.Equal(t, "PACS", ds.String(dict.RetrieveAETitle))
	require.Equal(t, "STUDY", ds.String(dict.QueryRetrieveLevel))
	require.True(t, ds.Has(dict.SeriesDescription))
	require.Empty(t, ds.String(dict.SeriesDescription))
	require.True(t, ds.Has(dict.OtherPatientIDsSequence))
	require.False(t, ds.Has(dict.StudyDescription), "not asked for")

	series := find(t, a, findClass, keys(
		"SERIES", "StudyInstanceUID", studies[2].StudyInstanceUID, "SeriesDescription", "",
		"Modality", "", "NumberOfSeriesRelatedInstances", "",
	))
	require.Equal(t, []string{"T1 axial", "T2 axial"}, values(series, dict.SeriesDescription))
	require.Equal(t, []string{"30", "30"}, values(series, dict.NumberOfSeriesRelatedInstances))

	images := find(t, a, findClass, keys("IMAGE", "StudyInstanceUID", studies[2].StudyInstanceUID,
		"SeriesInstanceUID", studies[2].Series[1].SeriesInstanceUID,
		"SOPInstanceUID", "", "SOPClassUID", "", "InstanceNumber", ""))
	require.Equal(t, uids(studies[2])[30:], values(images, dict.SOPInstanceUID))
	require.Equal(t, dict.MRImageStorage, images[0].String(dict.SOPClassUID))
	require.Equal(t, "30", images[29].String(dict.InstanceNumber))

	patients := find(
		t, a, patientFindClass, keys("PATIENT", "PatientID", "PHANTOM-00[12]*", "NumberOfPatientRelatedStudies", ""),
	)
	require.Empty(t, patients)
	patients = find(t, a, patientFindClass, keys(
		"PATIENT", "PatientID", "", "NumberOfPatientRelatedStudies", "", "NumberOfPatientRelatedInstances", "",
	))
	require.Len(t, patients, 7)
	require.Equal(t, "2", patients[0].String(dict.NumberOfPatientRelatedStudies))
	require.Equal(t, "77", patients[0].String(dict.NumberOfPatientRelatedInstances))

	finds := p.Recorder().Log().Finds
	require.Len(t, finds, 5)
	require.Equal(t, "SERIES", finds[1].Level)
	require.Equal(t, "TEST", finds[1].CallingAE)
	require.Equal(t, []string{studies[2].StudyInstanceUID}, finds[1].StudyInstanceUIDs)
	require.Equal(t, []string{"PHANTOM-00[12]*"}, finds[3].Keys["PatientID"])
}

func findStatus(t *testing.T, a *dimse.Association, level string) (matches int, status dimse.Status) {
	t.Helper()
	for _, err := range a.Find(limit(t), findClass, keys(level, "PatientID", "")) {
		if err != nil {
			var failed *dimse.StatusError
			require.ErrorAs(t, err, &failed)
			return matches, failed.Status
		}
		matches++
	}
	return matches, dimse.Success
}

func TestFindFaults(t *testing.T) {
	for _, test := range []struct {
		name    string
		faults  pacs.FindFaults
		level   string
		matches int
		status  dimse.Status
	}{
		{"none", pacs.FindFaults{}, "STUDY", 12, 0},
		{"out of resources", pacs.FindFaults{Status: dimse.OutOfResources}, "STUDY", 0, dimse.OutOfResources},
		{"cap without a sign", pacs.FindFaults{Cap: 5}, "STUDY", 5, 0},
		{"IMAGE level refused", pacs.FindFaults{ImageLevelRefused: true}, "IMAGE", 0, dimse.DataSetMismatch},
		{"IMAGE level refused, SERIES not", pacs.FindFaults{ImageLevelRefused: true}, "SERIES", 19, 0},
		{"IMAGE level empty", pacs.FindFaults{ImageLevelEmpty: true}, "IMAGE", 0, 0},
		{"pending without an identifier", pacs.FindFaults{EmptyPending: 3}, "STUDY", 12, 0},
		{"PATIENT level in study root", pacs.FindFaults{}, "PATIENT", 0, dimse.DataSetMismatch},
		{"no such level", pacs.FindFaults{}, "FRAME", 0, dimse.DataSetMismatch},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := start(t, pacs.Config{Studies: phantom.DemoStudies(), Misbehave: pacs.Misbehave{Find: test.faults}})
			matches, status := findStatus(t, dial(t, p), test.level)
			require.Equal(t, test.status, status)
			require.Equal(t, test.matches, matches)
		})
	}
}

func TestFindIgnoresAndOmitsKeys(t *testing.T) {
	p := start(t, pacs.Config{Studies: phantom.DemoStudies(), Misbehave: pacs.Misbehave{Find: pacs.FindFaults{
		IgnoreKeys: []dict.Tag{dict.StudyDate}, OmitKeys: []dict.Tag{dict.PatientID, dict.AccessionNumber},
	}}})
	got := find(
		t, dial(t, p), findClass, keys("STUDY", "StudyDate", "20240506", "AccessionNumber", "", "PatientName", ""),
	)
	require.Len(t, got, 12)
	require.False(t, got[0].Has(dict.PatientID))
	require.False(t, got[0].Has(dict.AccessionNumber))
	require.True(t, got[0].Has(dict.PatientName))
}

// What PACS answer instead of what is true, and what they claim that it is encoded in.
func TestFindAnswersUntruths(t *testing.T) {
	long := "ACCESSION-NUMBER-LONGER-THAN-16"
	p := start(t, pacs.Config{Studies: phantom.DemoStudies()[2:3], Misbehave: pacs.Misbehave{Find: pacs.FindFaults{
		SendTwice: 1, CharacterSet: "ISO_IR 101",
		Answers: map[dict.Tag][]string{
			dict.StudyDate: nil, dict.StudyTime: nil, dict.PatientBirthDate: nil,
			dict.AccessionNumber: {long}, dict.PatientID: {"MERGED-1"},
		},
	}}})
	got := find(t, dial(t, p), findClass, keys(
		"STUDY", "StudyDate", "", "StudyTime", "", "PatientBirthDate", "", "AccessionNumber", "",
		"PatientID", "PHANTOM-002", "PatientName", "",
	))
	require.Len(t, got, 2)
	require.Equal(t, got[0], got[1])
	for _, tag := range []dict.Tag{dict.StudyDate, dict.StudyTime, dict.PatientBirthDate} {
		require.True(t, got[0].Has(tag))
		require.Empty(t, got[0].String(tag))
	}
	require.Equal(t, long, got[0].String(dict.AccessionNumber))
	require.Equal(t, "MERGED-1", got[0].String(dict.PatientID))
	require.Equal(t, []string{"ISO_IR 101"}, got[0].Strings(dict.SpecificCharacterSet))
	require.Equal(
		t, "Phäntom^Bęta", got[0].String(dict.PatientName), "Latin-1, read as the Latin-2 that it claims to be",
	)
}

func TestFaultsOfTheFirstOnly(t *testing.T) {
	p := start(t, pacs.Config{
		Studies:   phantom.DemoStudies(),
		Misbehave: pacs.Misbehave{Find: pacs.FindFaults{First: 2, Status: dimse.CannotUnderstand}},
	})
	a := dial(t, p)
	for _, want := range []dimse.Status{dimse.CannotUnderstand, dimse.CannotUnderstand, dimse.Success, dimse.Success} {
		_, status := findStatus(t, a, "STUDY")
		require.Equal(t, want, status)
	}
}

// The connection is closed without a word before a match; those before it come.
func TestFindDrops(t *testing.T) {
	p := start(t, pacs.Config{
		Studies:   phantom.DemoStudies(),
		Misbehave: pacs.Misbehave{Find: pacs.FindFaults{First: 1, DropAtMatch: 4}},
	})
	matches := 0
	for _, err := range dial(t, p).Find(limit(t), findClass, keys("STUDY", "PatientID", "")) {
		if matches == 3 {
			require.ErrorAs(t, err, new(*ul.LostError))
			break
		}
		require.NoError(t, err)
		matches++
	}
	require.Equal(t, 3, matches)
	require.NoError(t, p.Recorder().WaitOpen(limit(t), 0))
	require.Len(t, find(t, dial(t, p), findClass, keys("STUDY", "PatientID", "")), 12)
}

// C-CANCEL is answered by an abort.
func TestFindCancelAborts(t *testing.T) {
	aborting := make(chan struct{})
	p := start(t, pacs.Config{
		Studies:   phantom.DemoStudies(),
		Misbehave: pacs.Misbehave{Find: pacs.FindFaults{AbortOnCancel: true}},
		Gate: func(ctx context.Context, e pacs.Event) {
			switch {
			case e.Kind == pacs.AtMatch && e.Number == 2:
				select {
				case <-e.Canceled:
				case <-ctx.Done():
				}
			case e.Kind == pacs.AtCancelAbort:
				close(aborting)
			}
		},
	})
	a := dial(t, p)
	for _, err := range a.Find(limit(t), findClass, keys("STUDY", "PatientID", "")) {
		require.NoError(t, err)
		break // sends C-CANCEL and drains
	}
	<-aborting
	require.ErrorAs(t, a.Echo(limit(t)), new(*ul.AbortedError))
	require.NoError(t, p.Recorder().WaitOpen(limit(t), 0))
}

// C-CANCEL comes before the second match. A PACS that ignores it goes on to the end.
func TestFindCancel(t *testing.T) {
	for ignored, matches := range map[bool]int{false: 2, true: 12} {
		var last atomic.Int32
		p := start(t, pacs.Config{
			Studies:   phantom.DemoStudies(),
			Misbehave: pacs.Misbehave{Find: pacs.FindFaults{IgnoreCancel: ignored}},
			Gate: func(ctx context.Context, e pacs.Event) {
				if e.Kind == pacs.AtMatch {
					last.Store(int32(e.Number))
				}
				if e.Kind == pacs.AtMatch && e.Number == 2 {
					select {
					case <-e.Canceled:
					case <-ctx.Done():
					}
				}
			},
		})
		a := dial(t, p)
		for _, err := range a.Find(limit(t), findClass, keys("STUDY", "PatientID", "")) {
			require.NoError(t, err)
			break // sends C-CANCEL and drains
		}
		require.NoError(t, a.Release(limit(t)))
		require.EqualValues(t, matches, last.Load())
	}
}
