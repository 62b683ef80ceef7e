// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/test/harness"
)

// kindOfObject is what is fixed of a made-up object.
type kindOfObject struct{ class, syntax string }

// madeUp makes objects of one study, one of each kind, with pixel data that nobody can decode. Each lies in a series of its own, or all in one.
func madeUp(t *testing.T, study string, oneSeries bool, kinds ...kindOfObject) []held {
	t.Helper()
	var objects []held
	for i, k := range kinds {
		h := held{study: study, class: k.class, uid: fmt.Sprintf("%s.9.%d", study, i+1), syntax: k.syntax}
		series := study + ".1"
		if !oneSeries {
			series = fmt.Sprintf("%s.%d", study, i+1)
		}
		ds := &stream.DataSet{}
		ds.Set(dict.SOPClassUID, h.class)
		ds.Set(dict.SOPInstanceUID, h.uid)
		ds.Set(dict.StudyDate, "20240102")
		ds.Set(dict.Modality, "OT")
		ds.Set(dict.PatientID, "PHANTOM-001")
		ds.Set(dict.StudyInstanceUID, study)
		ds.Set(dict.SeriesInstanceUID, series)
		ds.Set(dict.SeriesNumber, "1")
		ds.Set(dict.InstanceNumber, fmt.Sprint(i+1))
		data, err := ds.Encode(k.syntax)
		require.NoError(t, err)
		if dict.TransferSyntaxOf(k.syntax).Encapsulated {
			data = append(data, "\xE0\x7F\x10\x00OB\x00\x00\xFF\xFF\xFF\xFF\xFE\xFF\x00\xE0\x00\x00\x00\x00\xFE\xFF\x00\xE0\x04\x00\x00\x00\x01\x02\x03\x04\xFE\xFF\xDD\xE0\x00\x00\x00\x00"...)
		}
		h.data = data
		objects = append(objects, h)
	}
	return objects
}

// holding starts a PACS that holds objects. A silent one doesn't say in which transfer syntaxes.
func holding(t *testing.T, silent bool, cfg pacs.Config, objects ...held) *pacs.PACS {
	t.Helper()
	cfg.Memory = 16 << 20
	if silent {
		cfg.Misbehave.Find.OmitKeys = append(cfg.Misbehave.Find.OmitKeys, dict.AvailableTransferSyntaxUID)
	}
	p := startPACS(t, cfg)
	for some := range slices.Chunk(objects, 100) {
		give(t, p, some...)
	}
	return p
}

// TestMoveConverted: what comes in by C-MOVE in a transfer syntax that the destination doesn't take is converted as by C-GET.
func TestMoveConverted(t *testing.T) {
	n := harness.New(t, harness.Config{Workers: 4})
	for i, syntax := range []string{dict.ExplicitVRBigEndian, dict.DeflatedExplicitVRLittleEndian, dict.ExplicitVRLittleEndian} {
		for _, class := range []string{dict.MRImageStorage, dict.BasicTextSRStorage} {
			for _, silent := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s as %s, silent: %t", dict.UIDName(class), dict.UIDName(syntax), silent), func(t *testing.T) {
					t.Parallel()
					object := madeUp(t, fmt.Sprintf("2.25.85%d", i), true, kindOfObject{class, syntax})[0]
					src := holding(t, silent, pacs.Config{MoveDestinations: movesTo(n)}, object)
					dst := startPACS(t, pacs.Config{StorageSyntaxes: []string{dict.ImplicitVRLittleEndian}})
					source, destination := addPair(n, src, dst, byMove)
					job := n.Wait(n.Transfer(source, destination, object.study).ID)
					require.Equal(t, engine.Success, job.Status, n.Task(job.ID).Message)
					stores := dst.Recorder().Log().Stores
					require.Len(t, stores, 1)
					require.Equal(t, sha(converted(t, object, dict.ImplicitVRLittleEndian)), stores[0].SHA256)
				})
			}
		}
	}
}
