// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid/internal/rules"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// enhanced is an Enhanced MR of so many frames, with what has to change in places that follow a large sequence.
func enhanced(frames int) *stream.DataSet {
	d := sample()
	d.Set(dict.SOPClassUID, dict.EnhancedMRImageStorage)
	items := make([]*stream.DataSet, frames)
	for i := range items {
		items[i] = frame(i)
	}
	shared := &stream.DataSet{}
	shared.SetVR(0x20050010, dict.LO, "Philips MR Imaging DD 001")
	shared.SetVR(0x20051080, dict.LO, "Doe^Jane")
	d.SetSequence(dict.SharedFunctionalGroupsSequence, shared)
	d.SetSequence(dict.PerFrameFunctionalGroupsSequence, items...)
	d.SetSequence(0x54000100, frame(7)) // Waveform Sequence
	d.SetVR(0x70530010, dict.LO, "Philips PET Private Group")
	d.SetVR(0x70530011, dict.LO, "NOBODY 1.0")
	d.SetVR(0x70531000, dict.DS, "1.5")
	d.SetVR(0x70531100, dict.PN, "Doe^Jane")
	d.SetBytes(dict.PixelData, dict.OW, bytes.Repeat([]byte{1, 2, 3, 4}, 64))
	d.SetVR(0x7FE10010, dict.LO, "Doe^Jane")
	d.SetBytes(dict.DataSetTrailingPadding, dict.OB, []byte("Doe^Jane"))
	return d
}

// frame is the item of a frame: a date, a UID, text, a name, private attributes.
func frame(i int) *stream.DataSet {
	content, plane, image, item := &stream.DataSet{}, &stream.DataSet{}, &stream.DataSet{}, &stream.DataSet{}
	content.Set(dict.FrameAcquisitionDateTime, fmt.Sprintf("20240229120000.%06d", i))
	content.Set(dict.FrameComments, "Thorax Doe")
	content.Set(dict.StackID, "1")
	plane.Set(dict.ImagePositionPatient, fmt.Sprintf(`1.5\2.5\%d`, i))
	image.Set(dict.ReferencedSOPClassUID, dict.MRImageStorage)
	image.Set(dict.ReferencedSOPInstanceUID, fmt.Sprintf("1.2.3.4.%d", i))
	item.Set(dict.PatientName, "Doe^Jane")
	item.SetVR(0x00190010, dict.LO, "SIEMENS MR HEADER")
	item.SetVR(0x0019100C, dict.IS, "800") // b value: safe
	item.SetVR(0x00191008, dict.CS, "Doe")
	item.SetSequence(dict.ReferencedImageSequence, image)
	item.SetSequence(dict.FrameContentSequence, content)
	item.SetSequence(dict.PlanePositionSequence, plane)
	return item
}

// rewritten de-identifies an instance of which the header is to be so long at most, read in pieces.
func rewritten(s *Session, in []byte, syntax string, header, piece int) ([]byte, *Report, error) {
	o, err := stream.Open(pieces{bytes.NewReader(in), piece}, syntax, stream.Limits{Header: header})
	if err != nil {
		return nil, nil, err
	}
	defer o.Close()
	report, err := s.Rewrite(o)
	if err != nil {
		return nil, report, err
	}
	out, err := io.ReadAll(o)
	return out, report, err
}

// pieces reads at most n bytes at a time.
type pieces struct {
	r io.Reader
	n int
}

func (p pieces) Read(b []byte) (int, error) { return p.r.Read(b[:min(len(b), p.n)]) }

// undefineLengths returns a data set in little endian with sequences and items of undefined length, the top level's
// as UN if asked for (CP-246).
func undefineLengths(t *testing.T, b []byte, explicit, un bool) []byte {
	t.Helper()
	syntax := dict.ImplicitVRLittleEndian
	if explicit {
		syntax = dict.ExplicitVRLittleEndian
	}
	enc := stream.EncodingOf(dict.TransferSyntaxOf(syntax))
	var all func(b []byte, enc stream.Encoding, un bool) []byte
	all = func(b []byte, enc stream.Encoding, un bool) (out []byte) {
		for len(b) > 0 {
			h, ok := enc.Head(b)
			require.True(t, ok)
			value := b[h.Size : h.Size+int(h.Length)]
			b = b[h.Size+int(h.Length):]
			switch {
			case h.Tag == dict.ItemTag:
				out = enc.AppendHead(out, h.Tag, 0, stream.UndefinedLength)
				out = append(out, all(value, enc, false)...)
				out = enc.AppendHead(out, dict.ItemDelimitationTag, 0, 0)
			case h.Content == stream.Items && un:
				ds, err := stream.ParseDataSet(
					append(enc.AppendHead(nil, h.Tag, dict.SQ, h.Length), value...),
					syntax, stream.Limits{Header: 1 << 28},
				)
				require.NoError(t, err)
				inner, err := ds.Encode(dict.ImplicitVRLittleEndian)
				require.NoError(t, err)
				out = append(enc.AppendHead(out, h.Tag, dict.UN, stream.UndefinedLength), inner[8:]...)
				out = enc.AppendHead(out, dict.SequenceDelimitationTag, 0, 0)
			case h.Content == stream.Items:
				out = append(enc.AppendHead(out, h.Tag, h.VR, stream.UndefinedLength), all(value, enc, false)...)
				out = enc.AppendHead(out, dict.SequenceDelimitationTag, 0, 0)
			default:
				out = append(enc.AppendHead(out, h.Tag, h.VR, h.Length), value...)
			}
		}
		return out
	}
	return all(b, enc, un)
}

// canonical returns a data set in explicit VR with defined lengths.
func canonical(t *testing.T, b []byte, syntax string) *stream.DataSet {
	t.Helper()
	d, err := stream.ParseDataSet(b, syntax, stream.Limits{Header: 1 << 30})
	require.NoError(t, err)
	return d
}

// TestLargeHeader: what follows a large sequence is de-identified as in a header that holds it, in every encoding and
// under every kind of profile, and however the bytes arrive.
func TestLargeHeader(t *testing.T) {
	const limit = 32 << 10
	d := enhanced(200)
	encodings := map[string]struct {
		syntax string
		in     []byte
	}{}
	for name, syntax := range map[string]string{
		"implicit": dict.ImplicitVRLittleEndian, "explicit": dict.ExplicitVRLittleEndian,
		"big endian": dict.ExplicitVRBigEndian, "deflated": dict.DeflatedExplicitVRLittleEndian,
	} {
		encodings[name] = struct {
			syntax string
			in     []byte
		}{syntax, encode(t, d, syntax)}
	}
	explicit := encode(t, d, dict.ExplicitVRLittleEndian)
	for name, in := range map[string][]byte{
		"explicit, undefined": undefineLengths(t, explicit, true, false),
		"explicit, UN":        undefineLengths(t, explicit, true, true),
	} {
		encodings[name] = struct {
			syntax string
			in     []byte
		}{dict.ExplicitVRLittleEndian, in}
	}
	encodings["implicit, undefined"] = struct {
		syntax string
		in     []byte
	}{dict.ImplicitVRLittleEndian, undefineLengths(t, encode(t, d, dict.ImplicitVRLittleEndian), false, false)}

	adit, _ := BuiltinProfile("adit")
	standard, _ := BuiltinProfile(DefaultProfile)
	umlaut := subject()
	umlaut.Pseudonym = "Łucja 7"
	verbatim := Subject{TrialID: "Łódź"}
	for profile, c := range map[string]struct {
		p   *Profile
		sub Subject
	}{
		"default": {standard, subject()}, "basic": {profileOf(t, ""), subject()}, "adit": {adit, subject()},
		"to UTF-8": {standard, umlaut}, "trial alone, to UTF-8": {standard, verbatim},
		"a rule for the sequence": {profileOf(t, "overrides: [{tag: \"(5200,9230)\", action: empty}]"), subject()},
		"without the sequence":    {profileOf(t, "overrides: [{tag: \"(5200,9230)\", action: remove}]"), subject()},
		"a dummy":                 {profileOf(t, "overrides: [{tag: \"(5200,9229)\", action: remove}, {tag: \"(0020,9111)\", action: remove}]"), subject()},
	} {
		for name, e := range encodings {
			t.Run(profile+", "+name, func(t *testing.T) {
				s, err := c.p.Session(c.sub)
				require.NoError(t, err)
				want, whole, err := rewritten(s, e.in, e.syntax, 0, 1<<20)
				require.NoError(t, err)
				got, report, err := rewritten(s, e.in, e.syntax, limit, 1<<20)
				require.NoError(t, err)
				require.Equal(t, canonical(t, want, e.syntax), canonical(t, got, e.syntax))
				for a := range rules.Actions {
					require.Equal(t, whole.Count(a), report.Count(a), "%s", a)
				}
				for _, piece := range []int{7, 1000} {
					again, _, err := rewritten(s, e.in, e.syntax, limit, piece)
					require.NoError(t, err)
					require.True(t, bytes.Equal(got, again), "it depends on how the bytes arrive")
				}
				if c.sub.Pseudonym != "" && c.p != adit && e.syntax != dict.DeflatedExplicitVRLittleEndian {
					require.NotContains(t, string(got), "Doe")
				}
			})
		}
	}
}

// TestLargeHeaderConverted: and on the way into another transfer syntax.
func TestLargeHeaderConverted(t *testing.T) {
	syntaxes := []string{dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian, dict.DeflatedExplicitVRLittleEndian}
	d := enhanced(100)
	for _, from := range append(syntaxes, dict.ExplicitVRBigEndian) {
		for _, to := range syntaxes {
			convert := func(header int) *stream.DataSet {
				o, err := stream.Open(bytes.NewReader(encode(t, d, from)), from, stream.Limits{Header: header})
				require.NoError(t, err)
				defer o.Close()
				_, err = session(t, DefaultProfile).Rewrite(o)
				require.NoError(t, err)
				require.NoError(t, o.ConvertTo(to))
				b, err := io.ReadAll(o)
				require.NoError(t, err)
				return canonical(t, b, to)
			}
			require.Equal(t, convert(0), convert(16<<10), "%s to %s", from, to)
		}
	}
}

// TestHeaderOf20MiB is a header beyond the limit that the program has.
func TestHeaderOf20MiB(t *testing.T) {
	const frames = 90_000
	d := enhanced(1)
	one := encode(t, frame(0), dict.ExplicitVRLittleEndian)
	in := encode(t, d, dict.ExplicitVRLittleEndian)
	at := bytes.Index(in, []byte("\x00\x52\x30\x92SQ"))
	rest := in[at+12+8+len(one):]
	item := binary.LittleEndian.AppendUint32([]byte{0xFE, 0xFF, 0x00, 0xE0}, uint32(len(one)))
	item = append(item, one...)
	large := append(bytes.Clone(in[:at+8]), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(large[at+8:], uint32(frames*len(item)))
	large = append(append(large, bytes.Repeat(item, frames)...), rest...)
	require.Greater(t, len(large), 20<<20)
	out, report, err := rewritten(session(t, DefaultProfile), large, dict.ExplicitVRLittleEndian, 0, 1<<20)
	require.NoError(t, err)
	require.False(t, bytes.Contains(out, []byte("Doe")))
	require.Greater(t, report.Count(MapUID), frames)
	require.Equal(t, frames+1, bytes.Count(out, []byte("SIEMENS MR HEADER"))) // and one of the waveform
	require.True(t, bytes.HasSuffix(out, bytes.Repeat([]byte{1, 2, 3, 4}, 64)))
	o, err := stream.Open(bytes.NewReader(out), dict.ExplicitVRLittleEndian, stream.Limits{})
	require.NoError(t, err)
	defer o.Close()
	_, err = io.Copy(io.Discard, o)
	require.NoError(t, err)
}

// TestLargeHeaderRefused: what can't be done piece by piece is an error that says why, and holds no value.
func TestLargeHeaderRefused(t *testing.T) {
	const limit = 16 << 10
	long := func(tag dict.Tag) *stream.DataSet {
		item := &stream.DataSet{}
		item.Set(dict.FrameComments, "Thorax")
		item.SetBytes(tag, dict.OB, make([]byte, limit))
		return item
	}
	for name, c := range map[string]struct {
		edit    func(d *stream.DataSet)
		profile string
		says    string
	}{
		"an item": {
			func(d *stream.DataSet) {
				d.SetSequence(dict.PerFrameFunctionalGroupsSequence, frame(1), long(0x00420011))
			}, "",
			"an item of it is longer than the 16384 bytes",
		},
		"a text that changes": {
			func(d *stream.DataSet) { d.SetBytes(dict.TextValue, dict.UT, bytes.Repeat([]byte("Doe "), limit)) }, "",
			"(0040,A160) has to be changed, but it is longer than",
		},
		"before the patient": {
			func(d *stream.DataSet) { d.SetSequence(dict.ReferencedImageSequence, frame(1), long(0x00420011)) }, "",
			"(0008,1140) is too large, and precedes the attributes that identify the patient",
		},
		"a private group": {
			func(d *stream.DataSet) {
				d.SetSequence(dict.PerFrameFunctionalGroupsSequence, frames(100)...)
				d.SetVR(0x70530010, dict.LO, "Philips PET Private Group")
				d.SetBytes(0x70531007, dict.OB, make([]byte, limit))
			}, "options: [retain-safe-private]\noverrides: [{creator: \"Philips PET Private Group\", tag: \"(7053,xx07)\", action: keep}]",
			"(7053,1007) has to be changed, but it is longer than",
		},
		"text of another character set": {
			func(d *stream.DataSet) { d.SetSequence(dict.PerFrameFunctionalGroupsSequence, frames(100)...) },
			"overrides: [{tag: \"(0020,9158)\", action: replace, with: \"Łódź\"}]",
			"the profile writes a text into (5200,9230) that the instance's character set lacks",
		},
		"out of order": {
			func(d *stream.DataSet) { d.SetSequence(dict.PerFrameFunctionalGroupsSequence, frames(100)...) },
			"", "is out of order",
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := sample()
			d.SetBytes(dict.PixelData, dict.OW, []byte{1, 2, 3, 4})
			c.edit(d)
			in := encode(t, d, dict.ExplicitVRLittleEndian)
			if name == "out of order" {
				in = append(in, "\x10\x00\x10\x00PN\x08\x00Doe^Jane"...)
			}
			s, err := profileOf(t, c.profile).Session(subject())
			require.NoError(t, err)
			_, _, err = rewritten(s, in, dict.ExplicitVRLittleEndian, limit, 1<<20)
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "Doe")
			_, isUnsafe := errors.AsType[*UnsafeError](err)
			require.True(t, isUnsafe || errors.Is(err, stream.ErrTooLarge), err)
			require.NotContains(t, err.Error(), "limit for headers", "nobody can set one")
		})
	}
}

func frames(n int) (list []*stream.DataSet) {
	for i := range n {
		list = append(list, frame(i))
	}
	return list
}

// TestLargeHeaderTells: a report, and what Explain tells, are those of the instance whose header holds all of it.
func TestLargeHeaderTells(t *testing.T) {
	in := encode(t, enhanced(100), dict.ExplicitVRLittleEndian)
	told := func(header int) (list []Explained, counts [rules.Actions]int) {
		o, err := stream.Open(bytes.NewReader(in), dict.ExplicitVRLittleEndian, stream.Limits{Header: header})
		require.NoError(t, err)
		defer o.Close()
		list, _, err = session(t, DefaultProfile).Explain(o)
		require.NoError(t, err)
		for i := range list {
			counts[list[i].Action]++
		}
		return list, counts
	}
	whole, want := told(0)
	parts, got := told(16 << 10)
	require.Equal(t, want, got)
	_, report, err := rewritten(session(t, DefaultProfile), in, dict.ExplicitVRLittleEndian, 16<<10, 1<<20)
	require.NoError(t, err)
	require.Equal(t, report.Counts, got)
	require.Greater(t, report.Behind, 100)
	paths := func(list []Explained) (all []string) {
		for i := range list {
			all = append(all, list[i].Path+" "+list[i].Action.String())
		}
		return all
	}
	require.ElementsMatch(t, paths(whole), paths(parts))
}

// TestLargeHeaderSaysTrue: what the header says of the instance is true of what follows it, or the instance isn't sent.
func TestLargeHeaderSaysTrue(t *testing.T) {
	const limit = 16 << 10
	for name, c := range map[string]struct {
		edit    func(d *stream.DataSet)
		profile string
		dates   string // (0028,0303)
		says    string // the error
	}{
		"no dates":                 {func(*stream.DataSet) {}, "", "REMOVED", ""},
		"shifted dates":            {func(*stream.DataSet) {}, "options: [modified-dates]", "MODIFIED", ""},
		"dates that may be broken": {func(*stream.DataSet) {}, "options: [full-dates]", "MODIFIED", ""},
		"one date by a rule":       {func(*stream.DataSet) {}, "overrides: [{tag: \"(0018,9074)\", action: keep}]", "MODIFIED", ""},
		"text that nothing declares": {func(d *stream.DataSet) {
			d.Remove(dict.SpecificCharacterSet)
			item := frame(1)
			item.SetBytes(dict.StackID, dict.SH, []byte("M\xfcller"))
			d.SetSequence(dict.PerFrameFunctionalGroupsSequence, append(frames(100), item)...)
		}, "", "", "only (5200,9230), which is too large for its header, has text beyond ASCII"},
		"text that the header declares": {func(d *stream.DataSet) {
			d.Remove(dict.SpecificCharacterSet)
			d.SetBytes(dict.ProtocolName, dict.LO, []byte("M\xfcller"))
			d.SetBytes(dict.SeriesDescription, dict.LO, []byte("M\xfcller"))
			item := frame(1)
			item.SetBytes(dict.StackID, dict.SH, []byte("M\xfcller"))
			d.SetSequence(dict.PerFrameFunctionalGroupsSequence, append(frames(100), item)...)
		}, "options: [clean-descriptors]\noverrides: [{tag: \"(0008,103E)\", action: keep}]", "REMOVED", ""},
		"what decides": {func(d *stream.DataSet) {
			d.SetSequence(dict.AcquisitionContextSequence, frames(100)...)
			d.Set(dict.SpecimenLabelInImage, "YES")
		}, "", "", "(0048,0010) decides whether the instance may be sent"},
		"a sequence in disguise": {func(d *stream.DataSet) {
			d.SetSequence(dict.PerFrameFunctionalGroupsSequence, frames(100)...)
			// Waveform Data
			d.SetBytes(0x54001010, dict.OW, append([]byte("\xfe\xff\x00\xe0\xff\xff\xff\xff"), make([]byte, 1<<17)...))
		}, "", "", "(5400,1010) is a sequence where the dictionary has none"},
	} {
		t.Run(name, func(t *testing.T) {
			d := enhanced(100)
			c.edit(d)
			s, err := profileOf(t, c.profile).Session(subject())
			require.NoError(t, err)
			out, _, err := rewritten(
				s, encode(t, d, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian, limit, 1<<20,
			)
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				_, isUnsafe := errors.AsType[*UnsafeError](err)
				require.True(t, isUnsafe)
				return
			}
			require.NoError(t, err)
			says, _ := canonical(t, out, dict.ExplicitVRLittleEndian).Get(dict.LongitudinalTemporalInformationModified)
			require.Equal(t, c.dates, string(values.Trimmed(says.Value)))
		})
	}
}

// TestLargeHeaderClaims: a rule that is broken behind the header stops the instance, since its codes have gone out.
func TestLargeHeaderClaims(t *testing.T) {
	in := encode(t, enhanced(100), dict.ExplicitVRLittleEndian)
	s := session(t, DefaultProfile)
	r := *s.rule(dict.FrameComments)
	r.Action, r.ByType = Keep, false
	s.rules[dict.FrameComments], s.order, s.at = &r, nil, 0
	out, report, err := rewritten(s, in, dict.ExplicitVRLittleEndian, 0, 1<<20)
	require.NoError(t, err)
	require.NotEmpty(t, out)
	require.NotContains(t, report.Codes, "113100")
	_, _, err = rewritten(s, in, dict.ExplicitVRLittleEndian, 16<<10, 1<<20)
	require.ErrorContains(t, err, "says it was removed")
}

// TestScanOfWhatIsGiven: what a profile puts in the place of a value may be the same by chance.
func TestScanOfWhatIsGiven(t *testing.T) {
	d := sample()
	d.Set(dict.StudyDescription, "CT")
	sub := subject()
	sub.Scan = true
	s, err := profileOf(t, "overrides: [{tag: \"(0008,1030)\", action: replace, with: CT}]").Session(sub)
	require.NoError(t, err)
	_, _, err = rewritten(s, encode(t, d, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian, 0, 1<<20)
	require.NoError(t, err)
}

// TestLargeHeaderScanned: what is rewritten behind the header is scanned, and accounted for.
func TestLargeHeaderScanned(t *testing.T) {
	in := encode(t, enhanced(400), dict.ExplicitVRLittleEndian)
	sub := subject()
	sub.Scan, sub.Account = true, true
	for _, name := range BuiltinProfiles() {
		p, _ := BuiltinProfile(name)
		for _, c := range []struct {
			p      *Profile
			shouts bool
		}{{p, false}, {p.Broken(dict.FrameComments), true}} {
			s, err := c.p.Session(sub)
			require.NoError(t, err)
			_, report, err := rewritten(s, in, dict.ExplicitVRLittleEndian, 16<<10, 1<<20)
			if c.shouts {
				require.ErrorContains(t, err, "the scan of the result found: (5200,9230)[")
				require.ErrorContains(t, err, "(0020,9158) still holds")
				continue
			}
			require.NoError(t, err, name)
			var sums [rules.Actions]int
			for _, d := range report.Done {
				sums[d.Action] += d.N
			}
			require.Equal(t, report.Counts, sums)
		}
	}
}
