// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/harness"
)

// kindOfObject is what is fixed of a made-up object.
type kindOfObject struct{ class, syntax string }

// madeUp makes objects of one study, one of each kind, with pixel data that nobody can decode. Each lies in a series of
// its own, or all in one.
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
		switch {
		case k.class == dict.BasicTextSRStorage:
			ds.SetSequence(dict.ContentSequence, &stream.DataSet{})
		case !dict.TransferSyntaxOf(k.syntax).Encapsulated:
			ds.SetBytes(dict.PixelData, dict.OW, []byte{1, 2, 3, 4})
		}
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

// requireArrived asserts that a destination has each of the objects, once, and as it was.
func requireArrived(t *testing.T, dst *pacs.PACS, objects []held) {
	t.Helper()
	want, got := map[string]string{}, map[string]string{}
	for _, o := range objects {
		want[o.uid] = o.syntax + " " + sha(o.data)
	}
	for _, s := range dst.Recorder().Log().Stores {
		require.NotContains(t, got, s.SOPInstanceUID, "stored twice")
		got[s.SOPInstanceUID] = s.TransferSyntaxUID + " " + s.SHA256
	}
	require.Equal(t, want, got)
}

// imageClasses lists SOP classes of images.
func imageClasses() []string {
	return slices.DeleteFunc(
		dict.StorageClasses(true), func(c string) bool { return !strings.HasSuffix(dict.UIDName(c), "Image Storage") },
	)
}

// of returns one object per SOP class, in one transfer syntax after the other.
func of(classes []string, syntaxes ...string) []kindOfObject {
	var kinds []kindOfObject
	for i, class := range classes {
		kinds = append(kinds, kindOfObject{class, syntaxes[i%len(syntaxes)]})
	}
	return kinds
}

// manifold are kinds of which a study may hold many, more than a single association can be asked about.
func manifold(classes int) []kindOfObject {
	return of(
		imageClasses()[:classes], dict.JPEGBaseline8Bit, dict.MPEG4HP41, dict.JPEG2000Lossless,
		dict.ExplicitVRLittleEndian, dict.HTJ2K, dict.JPEGXL, dict.HEVCMP51,
	)
}

// TestManyClasses: what a study is made of arrives, with any number of SOP classes and transfer syntaxes, whether or
// not the source says in which ones it holds them, and never over more than one association at a time at each side.
func TestManyClasses(t *testing.T) {
	n := harness.New(t, harness.Config{Workers: 4})
	reports := []string{
		dict.BasicTextSRStorage, dict.KeyObjectSelectionDocumentStorage, dict.GrayscaleSoftcopyPresentationStateStorage,
	}
	images := imageClasses()
	seven := append(of(reports, dict.ExplicitVRLittleEndian), of(
		images[:4], dict.MPEG4HP41, dict.JPEGBaseline8Bit, dict.JPEG2000Lossless,
	)...)
	var crowded []kindOfObject // named by the source, they need more contexts than an association has
	for _, class := range images[:24] {
		for _, syntax := range []string{
			dict.JPEGBaseline8Bit, dict.JPEGLSLossless, dict.MPEG2MPML, dict.JPEGXL, dict.HTJ2KLossless,
		} {
			crowded = append(crowded, kindOfObject{class, syntax})
		}
	}
	for i, tt := range []struct {
		name      string
		kinds     []kindOfObject
		oneSeries bool
		atOnce    int // associations to each side
	}{
		{"seven classes", seven, false, 1},
		{"seven classes in one series", seven, true, 1},
		{"seven classes of images", of(images[:7], dict.HEVCMP51, dict.MPEG4HP41, dict.JPEGXL), false, 1},
		{"sixteen classes", manifold(16), false, 1},
		{"sixteen classes in one series", manifold(16), true, 1},
		{"all classes of images", manifold(len(images)), false, 1},
		{"all classes of images in one series", manifold(len(images)), true, 1},
		{"all classes of images, side by side", manifold(len(images)), false, 4},
		{"each class in five transfer syntaxes", crowded, true, 1},
		{"each class in five transfer syntaxes, side by side", crowded, true, 4},
	} {
		for _, silent := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, silent: %t", tt.name, silent), func(t *testing.T) {
				t.Parallel()
				objects := madeUp(t, fmt.Sprintf("2.25.88%d", i), tt.oneSeries, tt.kinds...)
				src, dst := holding(t, silent, pacs.Config{}, objects...), startPACS(t, pacs.Config{})
				source, destination := addPair(
					n, src, dst, func(s *nodes.NewServer) { s.AssociationsPerTask = tt.atOnce },
				)
				job := n.Wait(n.Transfer(source, destination, objects[0].study).ID)
				task := n.Task(job.ID)
				require.Equal(t, jobs.Success, job.Status, task.Message)
				require.Zero(t, task.Failures, "in one attempt")
				requireArrived(t, dst, objects)
				log := dst.Recorder().Log()
				require.LessOrEqual(t, log.Peak, tt.atOnce, "associations at once")
				require.LessOrEqual(t, src.Recorder().Log().Peak, tt.atOnce, "associations at once")
				if !silent && tt.atOnce == 1 {
					require.LessOrEqual(t, log.Total, 2, "what the study holds is negotiated first")
				}
			})
		}
	}
}

// TestUsualStudy: a study of one SOP class takes one association to the destination, and two to the source: one to ask,
// one to retrieve.
func TestUsualStudy(t *testing.T) {
	n := harness.New(t, harness.Config{})
	for i, silent := range []bool{false, true} {
		objects := madeUp(
			t, fmt.Sprintf("2.25.87%d", i), true, slices.Repeat(of(imageClasses()[:1], dict.JPEGLSLossless), 5)...,
		)
		src, dst := holding(t, silent, pacs.Config{}, objects...), startPACS(t, pacs.Config{})
		before := src.Recorder().Log().Total
		source, destination := addPair(n, src, dst, nil)
		job := n.Wait(n.Transfer(source, destination, objects[0].study).ID)
		require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
		requireArrived(t, dst, objects)
		require.Equal(t, 1, dst.Recorder().Log().Total)
		require.Equal(t, 2, src.Recorder().Log().Total-before)
		require.Len(t, src.Recorder().Log().Gets, 1)
	}
}

// TestRareTransferSyntaxes: whatever is registered is proposed at last to a source that doesn't say what it holds,
// private ones to one that does.
func TestRareTransferSyntaxes(t *testing.T) {
	n := harness.New(t, harness.Config{Workers: 4})
	for i, syntax := range []string{
		dict.JPIPReferenced, dict.JPIPReferencedDeflate,
		dict.EncapsulatedUncompressedExplicitVRLittleEndian, dict.MPEG4HP41F,
		dict.DeflatedImageFrameCompression, dict.JPEGLosslessNonHierarchical15, dict.JPEGExtended35, "2.25.8600",
	} {
		registered := dict.TransferSyntaxOf(syntax).Known
		for _, silent := range []bool{false, true} {
			if silent && !registered {
				continue
			}
			t.Run(fmt.Sprintf("%s, silent: %t", dict.UIDName(syntax), silent), func(t *testing.T) {
				t.Parallel()
				objects := madeUp(
					t, fmt.Sprintf("2.25.86%d", i), true, kindOfObject{dict.CTImageStorage, dict.JPEGLosslessSV1},
					kindOfObject{dict.CTImageStorage, syntax},
				)
				src, dst := holding(t, silent, pacs.Config{}, objects...), startPACS(t, pacs.Config{})
				source, destination := addPair(n, src, dst, nil)
				job := n.Wait(n.Transfer(source, destination, objects[0].study).ID)
				task := n.Task(job.ID)
				require.Equal(t, jobs.Success, job.Status, task.Message)
				require.Zero(t, task.Failures, "in one attempt")
				requireArrived(t, dst, objects)
			})
		}
	}
}

// TestMoveConverted: what comes in by C-MOVE in a transfer syntax that the destination doesn't take is converted as by
// C-GET.
func TestMoveConverted(t *testing.T) {
	n := harness.New(t, harness.Config{Workers: 4})
	for i, syntax := range []string{
		dict.ExplicitVRBigEndian, dict.DeflatedExplicitVRLittleEndian, dict.ExplicitVRLittleEndian,
	} {
		for _, class := range []string{dict.MRImageStorage, dict.BasicTextSRStorage} {
			for _, silent := range []bool{false, true} {
				t.Run(
					fmt.Sprintf("%s as %s, silent: %t", dict.UIDName(class), dict.UIDName(syntax), silent),
					func(t *testing.T) {
						t.Parallel()
						object := madeUp(t, fmt.Sprintf("2.25.85%d", i), true, kindOfObject{class, syntax})[0]
						src := holding(t, silent, pacs.Config{MoveDestinations: movesTo(n)}, object)
						dst := startPACS(t, pacs.Config{StorageSyntaxes: []string{dict.ImplicitVRLittleEndian}})
						source, destination := addPair(n, src, dst, byMove)
						job := n.Wait(n.Transfer(source, destination, object.study).ID)
						require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
						stores := dst.Recorder().Log().Stores
						require.Len(t, stores, 1)
						require.Equal(t, sha(converted(t, object, dict.ImplicitVRLittleEndian)), stores[0].SHA256)
					},
				)
			}
		}
	}
}

// TestTrueReasons: the source is only said to refuse what it was asked for in a transfer syntax that it holds it in.
func TestTrueReasons(t *testing.T) {
	const (
		refuses   = "the source refuses to send this instance, even when asked for it alone"
		sendsNone = "the source doesn't send this instance in any registered transfer syntax that the destination takes, even when asked for it alone"
		fails     = "the source could not send this instance"
		unreached = "the source could send nothing to the AE title "
	)
	jpeg := append([]string{dict.JPEGLosslessSV1, dict.JPEGBaseline8Bit}, plain...)
	n := harness.New(t, harness.Config{Workers: 4})
	for i, tt := range []struct {
		name    string
		holds   string
		takes   []string // all when empty
		silent  bool
		refused bool         // whatever it is asked for in
		status  dimse.Status // of what failed; A702 when 0
		byMove  bool
		ends    string
		reason  string
	}{
		{name: "held in what is not taken", holds: dict.JPEG2000Lossless, takes: jpeg, ends: jobs.Failure, reason: notInTheirs},
		{name: "held in what is not taken, a failure", holds: dict.JPEG2000Lossless, takes: jpeg, status: dimse.CannotUnderstand, ends: jobs.Failure, reason: notInTheirs},
		{name: "held in what is not taken, silent", holds: dict.JPEG2000Lossless, takes: jpeg, silent: true, ends: jobs.Failure, reason: fails},
		{name: "held in what is not taken, silent, a failure", holds: dict.JPEG2000Lossless, takes: jpeg, silent: true, status: dimse.CannotUnderstand, ends: jobs.Warning, reason: sendsNone},
		{name: "private, silent", holds: "2.25.8600", silent: true, status: dimse.CannotUnderstand, ends: jobs.Warning, reason: sendsNone},
		{name: "uncompressed, not taken", holds: dict.ExplicitVRLittleEndian, takes: []string{dict.JPEGBaseline8Bit}, status: dimse.CannotUnderstand, ends: jobs.Failure, reason: notInTheirs},
		{name: "compressed, not taken", holds: dict.JPEG2000Lossless, takes: plain, silent: true, status: dimse.CannotUnderstand, ends: jobs.Failure, reason: notInTheirs},
		{name: "refused", holds: dict.JPEG2000Lossless, refused: true, status: dimse.CannotUnderstand, ends: jobs.Warning, reason: refuses},
		{name: "refused, uncompressed", holds: dict.ExplicitVRLittleEndian, takes: plain, refused: true, status: dimse.CannotUnderstand, ends: jobs.Warning, reason: refuses},
		{name: "refused, silent", holds: dict.JPEG2000Lossless, silent: true, refused: true, status: dimse.CannotUnderstand, ends: jobs.Warning, reason: sendsNone},
		{name: "by C-MOVE, refused, silent", holds: dict.JPEG2000Lossless, silent: true, byMove: true, refused: true, status: dimse.CannotUnderstand, ends: jobs.Failure, reason: unreached},
		{name: "by C-MOVE, held in what is not taken", holds: dict.JPEG2000Lossless, takes: jpeg, byMove: true, ends: jobs.Failure, reason: "the destination doesn't take SOP class " + dict.CTImageStorage + " in transfer syntax " + dict.JPEG2000Lossless},
		{name: "by C-MOVE, compressed, not taken", holds: dict.JPEG2000Lossless, takes: plain, silent: true, byMove: true, ends: jobs.Failure, reason: notInTheirs},
		{name: "by C-MOVE, refused, uncompressed", holds: dict.ExplicitVRLittleEndian, takes: plain, byMove: true, refused: true, status: dimse.CannotUnderstand, ends: jobs.Failure, reason: unreached},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			object := madeUp(t, fmt.Sprintf("2.25.84%d", i), true, kindOfObject{dict.CTImageStorage, tt.holds})[0]
			faults := pacs.GetFaults{RefusedStatus: tt.status}
			if tt.refused {
				faults.Refuse = []string{object.uid}
			}
			src := holding(t, tt.silent, pacs.Config{
				MoveDestinations: movesTo(n),
				Misbehave:        pacs.Misbehave{Get: faults, Move: pacs.MoveFaults{GetFaults: faults}},
			}, object)
			dst := startPACS(t, pacs.Config{StorageSyntaxes: tt.takes})
			source, destination := addPair(n, src, dst, func(s *nodes.NewServer) {
				if tt.byMove {
					byMove(s)
					impatient(s)
				}
			})
			job := n.Wait(n.Transfer(source, destination, object.study).ID)
			task := n.Task(job.ID)
			reasons := missing(t, n, task)
			require.Len(t, reasons, 1)
			require.True(t, reasons[object.uid] == tt.reason ||
				tt.reason == unreached && strings.HasPrefix(reasons[object.uid], unreached), reasons)
			require.Equal(t, tt.ends, job.Status, task.Message)
			require.Contains(t, task.Message, tt.reason)
			require.Empty(t, dst.Recorder().Log().Stores)
		})
	}
}

// TestManyClassesOfPeers: real servers, which don't say in which transfer syntaxes they hold a study of many SOP
// classes. Orthanc converts what it is not asked for as it is; dcmqrscp doesn't name the SOP classes either.
func TestManyClassesOfPeers(t *testing.T) {
	t.Run("Orthanc to storescp", func(t *testing.T) {
		files := []string{
			"test_files/SC_rgb_jpeg_dcmtk.dcm", "test_files/JPEG2000.dcm",
			"test_files/MR_small_RLE.dcm", "test_files/JPGExtended.dcm",
		}
		c := newCorpus(t)
		for i, class := range imageClasses()[:16] {
			c.addPydicom(t, inStudy("2.25.830", i, class, "OT"), files[i%len(files)])
		}
		n := harness.New(t, harness.Config{})
		before, after := through(t, n, "ORTHANC", orthancWith(t, c).Addr, storeSCP(t, noDelay, t.TempDir()).Addr)
		succeed(t, n, c)
		requireAsStored(t, c, requireUntouched(t, c, before, after))
	})
	t.Run("dcmqrscp to Orthanc", func(t *testing.T) {
		files := []string{
			"test_files/MR_small.dcm", "test_files/MR_small_bigendian.dcm",
			"test_files/image_dfl.dcm", "test_files/MR_small_implicit.dcm",
		}
		c := newCorpus(t)
		for i, modality := range []string{"CT", "MR", "US", "CR", "DX", "MG", "NM", "PT", "XA", "RF", "OT", "XC"} {
			c.addPydicom(t, inStudy("2.25.831", i, dict.StorageClassesOf(modality)[0], modality), files[i%len(files)])
		}
		n := harness.New(t, harness.Config{})
		o := testpeer.Orthanc(t, noDelay, nil)
		through(t, n, "QRSCP", dcmqrscpWith(t, noDelay, c).Addr, o.Addr)
		succeed(t, n, c)
		require.Len(t, o.Files(t), len(c.files))
	})
}

// inStudy makes a file one of a study, in a series of its own.
func inStudy(study string, series int, class, modality string) func(*stream.Header) error {
	return func(h *stream.Header) error {
		return errors.Join(h.SetText(dict.SOPClassUID, class), h.SetText(dict.Modality, modality), h.SetText(
			dict.PatientID, "PHANTOM-001",
		),
			h.SetText(dict.StudyInstanceUID, study),
			h.SetText(dict.SeriesInstanceUID, fmt.Sprintf("%s.%d", study, series)))
	}
}

// TestMoveUnforeseen: what comes by C-MOVE and could not be foreseen, since the source lists nothing, is taken as it
// comes if the destination takes it, and else converted if it can be.
func TestMoveUnforeseen(t *testing.T) {
	n := harness.New(t, harness.Config{Workers: 4})
	for i, tt := range []struct {
		name    string
		kind    kindOfObject
		takes   []string
		arrives string
		moves   int
	}{
		{"of another SOP class", kindOfObject{dict.VLEndoscopicImageStorage, dict.JPEG2000Lossless}, nil, dict.JPEG2000Lossless, 1},
		{"of a private one", kindOfObject{"2.25.8200.1", dict.JPIPReferenced}, nil, dict.JPIPReferenced, 1},
		{"of another SOP class, to be converted", kindOfObject{dict.VLEndoscopicImageStorage, dict.ExplicitVRBigEndian}, []string{dict.ImplicitVRLittleEndian}, dict.ImplicitVRLittleEndian, 2},
		{"of another SOP class, to be converted, beside JPEG", kindOfObject{dict.VLEndoscopicImageStorage, dict.ExplicitVRBigEndian}, append([]string{dict.JPEGLosslessSV1}, plain...), dict.ExplicitVRLittleEndian, 2},
		{"in a rare transfer syntax", kindOfObject{dict.ComputedRadiographyImageStorage, dict.JPEGLosslessNonHierarchical15}, nil, dict.JPEGLosslessNonHierarchical15, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			object := madeUp(t, fmt.Sprintf("2.25.82%d", i), true, tt.kind)[0]
			src := holding(t, true, pacs.Config{
				MoveDestinations: movesTo(n),
				Misbehave:        pacs.Misbehave{Find: pacs.FindFaults{ImageLevelRefused: true}},
			}, object)
			dst := startPACS(t, pacs.Config{StorageSyntaxes: tt.takes})
			source, destination := addPair(n, src, dst, byMove)
			job := n.Wait(n.Transfer(source, destination, object.study).ID)
			require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
			stores := dst.Recorder().Log().Stores
			require.Len(t, stores, 1)
			require.Equal(t, tt.arrives, stores[0].TransferSyntaxUID)
			require.Len(t, src.Recorder().Log().Moves, tt.moves)
		})
	}
}
