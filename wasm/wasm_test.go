// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !js

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/internal/testpeer"
)

const deadline = 5 * time.Minute // safety only: a build and a run of Node beside other tests

// dist builds what the browser gets, once.
var dist = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "adit-wasm-")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("../scripts/wasm", dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w:\n%s", err, out)
	}
	return dir, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := dist(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

func built(t *testing.T) string {
	t.Helper()
	dir, err := dist()
	require.NoError(t, err)
	return dir
}

// TestSize: a page on a slow line loads it.
func TestSize(t *testing.T) {
	const most = 1_290_000
	path, err := exec.LookPath("brotli")
	require.NoError(t, err, "install the Debian package brotli; scripts/setup test does it")
	packed, err := exec.CommandContext(
		t.Context(), path, "-q", "11", "-w", "24", "-c", filepath.Join(built(t), "adit-deid.wasm"),
	).Output()
	require.NoError(t, err)
	t.Logf("%d bytes with Brotli", len(packed))
	require.LessOrEqual(t, len(packed), most)
}

// ownProfile has an override of every kind of property.
var ownProfile = deid.Definition{
	Name: "own", Version: "2", Base: "ps3.15-basic",
	Options: []string{"retain-uids", "clean-descriptors", "full-dates"},
	Overrides: []deid.Override{
		{Keyword: "StationName", Action: "regex", Pattern: "[0-9]+", With: "n"},
		{Tag: "(0008,103E)", Action: "replace", With: "Größe"},
		{Tag: "(0019,xx10)", Creator: "PHANTOM", Action: "keep"},
		{VR: "TM", Action: "remove"},
	},
	Allow: []string{"burned-in", "unknown-sop-class"}, Vocabulary: []string{"phantom"},
}

// job is what Node is told to do with a file, and said is what it did.
type job struct {
	File    string `json:"file"`
	Profile any    `json:"profile"`
	Subject any    `json:"subject"`
	want    said
}

type said struct {
	Hash     string         `json:"hash"`
	Identity string         `json:"identity"`
	SHA256   string         `json:"sha256"`   // of the bytes of rewrite
	Streamed string         `json:"streamed"` // of those of rewriteStream
	Report   map[string]any `json:"report"`
	Kind     string         `json:"kind"` // of the error, with what follows
	Reason   string         `json:"reason"`
	Message  string         `json:"message"`
}

// corpus are files: phantoms of every kind, those of the proof of package deid, and those of pydicom.
func corpus(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	var files []string
	for i, kind := range []phantom.Kind{
		phantom.CT, phantom.MR, phantom.Ultrasound, phantom.MultiFrame, phantom.SecondaryCapture, phantom.Report,
	} {
		for j, syntax := range []string{dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian, dict.RLELossless} {
			if syntax == dict.RLELossless && kind != phantom.Ultrasound && kind != phantom.SecondaryCapture {
				continue
			}
			spec := phantom.SeriesSpec{Kind: kind, TransferSyntaxUID: syntax}
			if kind == phantom.MultiFrame {
				spec.Frames, spec.Rows, spec.Columns = 3, 512, 512
			}
			if kind == phantom.Report && syntax != dict.ExplicitVRLittleEndian {
				continue
			}
			made, err := phantom.New(uint64(10*i+j), phantom.StudySpec{
				Patient:     phantom.Patient{ID: "WASM-1", Name: "Yamada^Tarou=山田^太郎", BirthDate: "19700101", Sex: "O", CharacterSet: []string{"ISO_IR 192"}},
				Description: "CT Thorax Müller", Series: []phantom.SeriesSpec{spec},
			}).WriteFiles(filepath.Join(dir, fmt.Sprint(i, j)))
			require.NoError(t, err)
			files = append(files, made...)
		}
	}
	n := len(files)
	seeded := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-run", "^TestWriteCorpus$", "../dicom/deid")
	cmd.Env = append(os.Environ(), "ADIT_WRITE_CORPUS="+seeded)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	made, err := filepath.Glob(filepath.Join(seeded, "*.dcm"))
	require.NoError(t, err)
	require.Greater(t, len(made), 200, "the seeded corpus")
	files = append(files, made...)
	n += len(made)
	require.NoError(t, filepath.WalkDir(testpeer.PydicomDir(t), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".py") || strings.HasSuffix(path, ".pyc") {
			return err
		}
		files = append(files, path)
		return nil
	}))
	require.Greater(t, len(files)-n, 100, "pydicom's files")
	return files
}

// TestSameAsServer: JavaScript gets the bytes, reports and refusals of the engine that the server has.
func TestSameAsServer(t *testing.T) {
	key := deid.PatientKey{1, 2, 3, 31: 9}
	profiles := []any{ownProfile}
	for _, name := range deid.BuiltinProfiles() {
		profiles = append(profiles, name)
	}
	var jobs []job
	for _, file := range corpus(t) {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		for i, p := range profiles {
			subject := map[string]any{
				"patientKey": hex.EncodeToString(key[:]), "generation": i, "pseudonym": "PSEUDO-7",
				"trialID": "TRIAL", "trialName": "Größenstudie", "charset": "ISO_IR 101",
			}
			s := deid.Subject{
				Key: key, Generation: uint32(i), Pseudonym: "PSEUDO-7",
				TrialID: "TRIAL", TrialName: "Größenstudie", Charset: "ISO_IR 101",
			}
			j := job{File: file, Profile: p, Subject: subject}
			j.want = onServer(t, b, p, s)
			subject["patient"] = j.want.Identity
			jobs = append(jobs, j)
		}
	}
	answers := node(t, jobs)
	counts := map[string]int{}
	for i, j := range jobs {
		require.Equal(t, j.want, answers[i], "%s by %v", j.File, j.Profile)
		counts[j.want.Kind]++
	}
	t.Logf("%d files: %v", len(jobs)/len(profiles), counts)
	require.Greater(t, counts[""], 250)
	require.Positive(t, counts["refused"])
	require.Positive(t, counts["error"])
}

// onServer does what the module does, with the engine of this process.
func onServer(t *testing.T, file []byte, p any, subject deid.Subject) (want said) {
	t.Helper()
	profile, ok := deid.BuiltinProfile(fmt.Sprint(p))
	if d, own := p.(deid.Definition); own {
		var err error
		profile, err = deid.NewProfile(d)
		require.NoError(t, err)
	} else {
		require.True(t, ok)
	}
	want.Hash = profile.Hash()
	fail := func(err error) said {
		want.Kind, want.Message = "error", err.Error()
		if r, ok := errors.AsType[*deid.RefusedError](err); ok {
			want.Kind, want.Reason = "refused", string(r.Reason)
		}
		if u, ok := errors.AsType[*deid.UnsafeError](err); ok {
			want.Kind, want.Reason = "unsafe", string(u.Reason)
		}
		return want
	}
	_, o, err := stream.OpenFile(bytes.NewReader(file), stream.Limits{})
	if err != nil {
		return fail(err)
	}
	defer o.Close()
	h := o.Header()
	subject.Patient = deid.PatientIdentity(h.Text(dict.PatientID), "", h.Text(dict.StudyInstanceUID))
	want.Identity = string(subject.Patient)
	s, err := profile.Session(subject)
	require.NoError(t, err)
	report, err := s.Rewrite(o)
	if err != nil {
		return fail(err)
	}
	out := bytes.NewBuffer(o.FileMeta().AppendTo(nil))
	if _, err := io.Copy(out, o); err != nil {
		return fail(err)
	}
	sum := sha256.Sum256(out.Bytes())
	want.SHA256 = hex.EncodeToString(sum[:])
	want.Streamed = want.SHA256
	counts := map[string]any{}
	for a := deid.Keep; a <= deid.Assign; a++ {
		if n := report.Count(a); n > 0 {
			counts[a.String()] = float64(n)
		}
	}
	codes := []any{}
	for _, c := range report.Codes {
		codes = append(codes, c)
	}
	want.Report = map[string]any{
		"codes":             codes,
		"studyInstanceUID":  h.Text(dict.StudyInstanceUID),
		"seriesInstanceUID": h.Text(dict.SeriesInstanceUID), "sopInstanceUID": h.SOPInstanceUID(),
		"transferSyntaxUID": o.TransferSyntax().UID, "counts": counts,
		"behind": float64(report.Behind), "toUTF8": report.ToUTF8,
		"assumedCharset": report.AssumedCharset,
	}
	return want
}

// node runs testdata/run.mjs, which does the jobs with the module as it is shipped.
func node(t *testing.T, jobs []job) (answers []said) {
	t.Helper()
	in, err := json.Marshal(jobs)
	require.NoError(t, err)
	out, err := runNode(t, in, "testdata/run.mjs", filepath.Join(built(t), "adit-deid.mjs"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(out, &answers))
	require.Len(t, answers, len(jobs))
	return answers
}

func runNode(t *testing.T, in []byte, args ...string) ([]byte, error) {
	t.Helper()
	path, err := exec.LookPath("node")
	require.NoError(t, err, "install Node (Debian: nodejs); scripts/setup test does it")
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	timer := time.AfterFunc(deadline, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w:\n%s", err, &stderr)
	}
	return out, err
}

// TestModule runs testdata/module.mjs: what is wrong throws, streams end and fail as they should.
func TestModule(t *testing.T) {
	files, err := phantom.New(1, phantom.StudySpec{
		Patient: phantom.Patient{ID: "WASM-1", Name: "A^B"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT}},
	}).WriteFiles(t.TempDir())
	require.NoError(t, err)
	_, err = runNode(
		t, nil, "testdata/module.mjs", filepath.Join(built(t), "adit-deid.mjs"),
		files[0], "../dicom/deid/testdata/keys.json",
	)
	require.NoError(t, err)
}
