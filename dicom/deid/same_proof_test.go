// SPDX-License-Identifier: AGPL-3.0-or-later

package deid_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

func (x *instance) session(t testing.TB, key deid.Key, generation uint32) *deid.Session {
	t.Helper()
	p, ok := deid.BuiltinProfile(deid.DefaultProfile)
	require.True(t, ok)
	return x.sessionOf(t, p, key, generation)
}

func (x *instance) sessionOf(t testing.TB, p *deid.Profile, key deid.Key, generation uint32) *deid.Session {
	t.Helper()
	patient := deid.PatientIdentity(x.person.id, "", "")
	s, err := p.Session(deid.Subject{
		Key: key.OfPatient(patient), Generation: generation, Patient: patient, Pseudonym: x.person.pseudonym(),
	})
	require.NoError(t, err)
	return s
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// digests de-identifies the corpus, one session a patient, instance after instance.
func digests(t testing.TB) []string {
	corpus := seededCorpus(t)
	p, _ := deid.BuiltinProfile(deid.DefaultProfile)
	deidentifyCorpus(t, p, corpus)
	var all []string
	for _, x := range corpus {
		all = append(all, digest(x.out))
	}
	return all
}

// TestSameBytes: the same input under the same key and profile gives the same bytes in any order, in one session or
// many, from several goroutines at once, a second time, and in another process.
func TestSameBytes(t *testing.T) {
	want := digests(t)
	corpus := seededCorpus(t)
	t.Run("again", func(t *testing.T) { require.Equal(t, want, digests(t)) })
	t.Run("any order, a session an instance", func(t *testing.T) {
		order := rand.New(rand.NewPCG(1, 2)).Perm(len(corpus))
		for _, i := range order {
			out, _, err := rewrite(corpus[i].session(t, proofKey(3), 0), corpus[i].in, corpus[i].syntax)
			require.NoError(t, err)
			require.Equal(t, want[i], digest(out), corpus[i].kind)
		}
	})
	t.Run("at once in one session", func(t *testing.T) {
		s := map[*person]*deid.Session{}
		for _, x := range corpus {
			if s[x.person] == nil {
				s[x.person] = x.session(t, proofKey(3), 0)
			}
		}
		var wg sync.WaitGroup
		got := make([]string, len(corpus))
		for i, x := range slices.Backward(corpus) {
			wg.Go(func() {
				if out, _, err := rewrite(s[x.person], x.in, x.syntax); err == nil {
					got[i] = digest(out)
				}
			})
		}
		wg.Wait()
		require.Equal(t, want, got)
	})
	t.Run("another process", func(t *testing.T) {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPrintDigests$", "-test.v")
		cmd.Env = append(os.Environ(), "ADIT_PRINT_DIGESTS=1", "GOGC=10", "TZ=Asia/Tokyo", "LC_ALL=C")
		out, err := cmd.Output()
		require.NoError(t, err)
		var got []string
		for line := range strings.Lines(string(out)) {
			if d, ok := strings.CutPrefix(strings.TrimSpace(line), "digest "); ok {
				got = append(got, d)
			}
		}
		require.Equal(t, want, got)
	})
}

// TestPrintDigests is what TestSameBytes runs in another process.
func TestPrintDigests(t *testing.T) {
	all := digests(t)
	require.NotEmpty(t, all)
	if os.Getenv("ADIT_PRINT_DIGESTS") != "" {
		for _, d := range all {
			_, err := os.Stdout.WriteString("digest " + d + "\n")
			require.NoError(t, err)
		}
	}
}

// madeUIDs returns all UIDs of ours in the output for a key.
func madeUIDs(t testing.TB, corpus []*instance, key deid.Key, generation uint32) map[string]bool {
	uids := map[string]bool{}
	for _, x := range corpus {
		out, _, err := rewrite(x.session(t, key, generation), x.in, x.syntax)
		require.NoError(t, err)
		walk(parse(t, out, x.syntax), func(_ []dict.Tag, e stream.Element, ds *stream.DataSet) {
			if e.VR == dict.UI {
				for _, uid := range ds.Strings(e.Tag) {
					if strings.HasPrefix(uid, "2.25.") {
						uids[uid] = true
					}
				}
			}
		})
	}
	return uids
}

// TestKeys: another key, and another generation of UIDs, gives UIDs of which none is in the other output or in the
// input.
func TestKeys(t *testing.T) {
	corpus := seededCorpus(t)
	one := madeUIDs(t, corpus, proofKey(3), 0)
	require.Greater(t, len(one), 4*8)
	for name, other := range map[string]map[string]bool{
		"another key": madeUIDs(t, corpus, proofKey(4), 0), "another generation": madeUIDs(t, corpus, proofKey(3), 1),
	} {
		require.Len(t, other, len(one), name)
		for uid := range other {
			require.NotContains(t, one, uid, name)
		}
	}
	for _, x := range corpus {
		walk(x.before, func(_ []dict.Tag, e stream.Element, ds *stream.DataSet) {
			if e.VR == dict.UI {
				require.NotContains(t, one, ds.String(e.Tag))
			}
		})
	}
}

// TestReferences: series that are de-identified apart from each other stay of one study and frame of reference, and
// what points to an image still does.
func TestReferences(t *testing.T) {
	corpus := seededCorpus(t)
	for i := range seededPatients {
		p := &seededPatients[i]
		studies, frames, ct := map[string]bool{}, map[string]bool{}, map[string]string{}
		var of []*instance
		for _, x := range corpus {
			if x.person != p {
				continue
			}
			out, _, err := rewrite(x.session(t, proofKey(3), 0), x.in, x.syntax)
			require.NoError(t, err)
			x.now = parse(t, out, x.syntax)
			of = append(of, x)
			studies[x.now.String(dict.StudyInstanceUID)] = true
			if x.kind == "CT" {
				ct[x.now.String(dict.SOPInstanceUID)] = x.now.String(dict.SeriesInstanceUID)
				frames[x.now.String(dict.FrameOfReferenceUID)] = true
			}
		}
		require.Len(t, studies, 1)
		require.Len(t, frames, 1)
		require.Len(t, ct, 2)
		for _, x := range of {
			switch x.kind {
			case "RTSTRUCT":
				frame := x.now.Items(dict.ReferencedFrameOfReferenceSequence)[0]
				require.Contains(t, frames, frame.String(dict.FrameOfReferenceUID))
				study := frame.Items(dict.RTReferencedStudySequence)[0]
				require.Contains(t, studies, study.String(dict.ReferencedSOPInstanceUID))
				images := study.Items(dict.RTReferencedSeriesSequence)[0].Items(dict.ContourImageSequence)
				require.Len(t, images, 2)
				for _, image := range images {
					require.Contains(t, ct, image.String(dict.ReferencedSOPInstanceUID))
					require.Equal(t, dict.CTImageStorage, image.String(dict.ReferencedSOPClassUID))
				}
				require.Contains(
					t, frames, x.now.Items(dict.StructureSetROISequence)[0].String(dict.ReferencedFrameOfReferenceUID),
				)
			case "SEG":
				source := follow(x.now, []dict.Tag{
					dict.SharedFunctionalGroupsSequence, dict.DerivationImageSequence, dict.SourceImageSequence,
				})
				require.Contains(t, ct, source.String(dict.ReferencedSOPInstanceUID))
			case "SR":
				require.Contains(
					t, ct, x.now.Items(dict.ReferencedInstanceSequence)[0].String(dict.ReferencedSOPInstanceUID),
				)
			}
		}
	}
}

// TestIntervals: the days between the studies of a patient stay what they are; another patient has another offset.
func TestIntervals(t *testing.T) {
	p := loadProfile(t, "modified-dates")
	shifted := func(patient, date string) time.Time {
		var ds stream.DataSet
		ds.Set(dict.SOPClassUID, dict.CTImageStorage)
		ds.Set(dict.SOPInstanceUID, "1.2."+date)
		ds.Set(dict.PatientID, patient)
		ds.Set(dict.StudyDate, date)
		out, _, err := rewrite(
			sessionFor(t, p, proofKey(3), &ds),
			encode(t, &ds, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian,
		)
		require.NoError(t, err)
		return day(parse(t, out, dict.ExplicitVRLittleEndian).String(dict.StudyDate))
	}
	offsets := map[time.Duration]bool{}
	for patient := range 60 {
		id := fmt.Sprint("P", patient)
		offset := shifted(id, "20240229").Sub(day("20240229"))
		offsets[offset] = true
		require.GreaterOrEqual(t, offset, -730*24*time.Hour)
		require.LessOrEqual(t, offset, -62*24*time.Hour)
		for _, date := range []string{"20200102", "20231230", "20240302", "19991230", "19750114", "20000229"} {
			require.Equal(t, offset, shifted(id, date).Sub(day(date)))
		}
	}
	require.Greater(t, len(offsets), 50)
}
