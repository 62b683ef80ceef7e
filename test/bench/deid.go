// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
)

// pinned has a program run on one core: the last one that this process may use.
func pinned(p program) (program, error) {
	var cores unix.CPUSet
	if err := unix.SchedGetaffinity(0, &cores); err != nil {
		return p, err
	}
	last := -1
	for i := range len(cores) * 64 {
		if cores.IsSet(i) {
			last = i
		}
	}
	return program{p.env, "taskset", append([]string{"-c", strconv.Itoa(last), p.name}, p.args...)}, nil
}

// deidentifying compares `adit deid` with another program that makes files of the same set: theirs gives it, for a
// folder to write to that prepare has made or left alone. No turn is to pay for another. So each begins when what is
// dirty is written, has a folder of its own, and its files are emptied when they are counted, but not removed: their
// memory is used again, and ext4 doesn't have to search for an inode among those that were given back a moment ago.
func (b *bench) deidentifying(
	in *room, flags []string, prepare func(out string) error, theirs func(out string) program,
) (ours, others side, err error) {
	s := b.sets.ct
	key := filepath.Join(in.dir, "key")
	if err := os.WriteFile(key, fmt.Appendf(nil, "%064x\n", 4711), 0o600); err != nil {
		return nil, nil, err
	}
	turns := 0
	turn := func(prepare func(out string) error, program func(out string) program) side {
		return func() (sample, error) {
			turns++
			out := filepath.Join(in.dir, "out-"+strconv.Itoa(turns))
			p := program(out)
			one, err := pinned(p)
			if err != nil {
				return sample{}, err
			}
			if err := prepare(out); err != nil {
				return sample{}, err
			}
			unix.Sync()
			r, err := sent(in, s.images, one)
			if err != nil {
				return r, err
			}
			if n, err := emptyFiles(out); err != nil || n != s.images {
				return r, errors.Join(err, fmt.Errorf("%s wrote %d of %d files", p.name, n, s.images))
			}
			return r, nil
		}
	}
	ours = turn(func(string) error { return nil }, func(out string) program {
		return b.deidProgram(key, flags, out)
	})
	return ours, turn(prepare, theirs), nil
}

// bare has adit deid do what the other programs do, without proof.
var bare = []string{"--no-scan", "--no-manifest"}

func (b *bench) deidProgram(key string, flags []string, out string) program {
	return program{nil, b.adit, slices.Concat(
		[]string{"deid", "--key-file", key, "--pseudonym", "SUBJECT-01"}, flags, b.sets.ct.dirs, []string{out},
	)}
}

// deidWithProof compares adit deid with its scan and manifest, as it runs unless told otherwise, with itself without
// them.
func deidWithProof(b *bench, in *room) (ours, theirs side, err error) {
	nothing := func(string) error { return nil }
	return b.deidentifying(
		in, nil, nothing, func(out string) program { return b.deidProgram(filepath.Join(in.dir, "key"), bare, out) },
	)
}

// emptyFiles makes the files of a folder empty, and counts those that were not. What adit deid leaves beside them, a
// mark and a manifest, is none.
func emptyFiles(dir string) (n int, err error) {
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".dcm" {
			return err
		}
		if info, err := d.Info(); err == nil && info.Size() > 0 {
			n++
		}
		return os.Truncate(path, 0)
	})
	return n, err
}

func makeDir(out string) error { return os.Mkdir(out, 0o700) }

func deidAndCopy(b *bench, in *room) (ours, theirs side, err error) {
	return b.deidentifying(in, bare, makeDir, func(out string) program {
		return program{nil, "cp", slices.Concat([]string{"-r"}, b.sets.ct.dirs, []string{out})}
	})
}

// deidAndGDCM has gdcmanon take the same kind of things away; it has no profile in its dumb mode, and no keys.
func deidAndGDCM(b *bench, in *room) (ours, theirs side, err error) {
	return b.deidentifying(in, bare, makeDir, func(out string) program {
		return program{nil, "gdcmanon", []string{
			"--dumb", "--replace", "10,10=BENCH", "--replace", "10,20=BENCH", "--empty",
			"10,30", "--empty", "8,50", "--empty", "8,90", "--remove", "8,80",
			"--remove", "8,1030", "-r", "-i", filepath.Dir(b.sets.ct.dirs[0]), "-o", out,
		}}
	})
}

// deidAndDCMTK has dcmodify work on copies, which are made before its time begins: it edits files where they are.
func deidAndDCMTK(b *bench, in *room) (ours, theirs side, err error) {
	var files []string
	for i, dir := range b.sets.ct.dirs {
		made, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			return nil, nil, err
		}
		for _, f := range made {
			files = append(files, filepath.Join(strconv.Itoa(i+1), filepath.Base(f)))
		}
	}
	prepare := func(out string) error {
		return os.CopyFS(out, os.DirFS(filepath.Dir(b.sets.ct.dirs[0])))
	}
	return b.deidentifying(in, bare, prepare, func(out string) program {
		args := []string{
			"-nb", "-m", "PatientName=BENCH", "-m", "PatientID=BENCH", "-ma", "PatientBirthDate=",
			"-ea", "InstitutionName", "-ea", "StudyDescription", "-gst", "-gse", "-gin", "-ep",
		}
		for _, f := range files {
			args = append(args, filepath.Join(out, f))
		}
		return program{nil, "dcmodify", args}
	})
}

// scannerCT is a CT of half a megabyte with as many attributes as scanners send, private ones among them.
func scannerCT() (object []byte, meta stream.FileMeta, err error) {
	ct := phantom.New(1, phantom.StudySpec{
		Patient: phantom.Patient{ID: "BENCH-1", Name: "Phantom^Bench", BirthDate: "19700101", Sex: "O"},
		Series:  []phantom.SeriesSpec{ctSeries},
	}).Instances()[0]
	d := ct.Attributes()
	values := map[dict.VR]string{
		dict.DA: "20240229", dict.TM: "120000", dict.UI: "1.2.3.4.5", dict.SH: "12",
		dict.LO: "CT Thorax 12", dict.CS: "A", dict.DS: "1.5", dict.IS: "12", dict.PN: "A^B",
	}
	for tag := dict.AcquisitionDate; d.Len() < 130; tag++ {
		if e, ok := dict.Lookup(tag); ok && !d.Has(tag) && values[e.VR] != "" {
			d.Set(tag, values[e.VR])
		}
	}
	d.SetVR(0x00190010, dict.LO, "SIEMENS CT VA0  COAD")
	for i := range dict.Tag(20) {
		d.SetVR(0x00191000+i, dict.LO, "value of a scanner")
	}
	d.SetBytes(dict.PixelData, dict.OW, make([]byte, 2*512*522))
	object, err = d.Encode(ct.TransferSyntaxUID)
	return object, ct.FileMeta(), err
}

// deidInMemory compares a session of the default profile with a copy of the same bytes; a rewritten object is one that
// the session has not seen.
func deidInMemory(*bench, *room) (ours, theirs side, err error) {
	const times = 3000
	object, meta, err := scannerCT()
	if err != nil {
		return nil, nil, err
	}
	profile, _ := deid.BuiltinProfile(deid.DefaultProfile)
	session, err := profile.Session(
		deid.Subject{Patient: deid.PatientIdentity("BENCH-1", "", ""), Pseudonym: "SUBJECT-01"},
	)
	if err != nil {
		return nil, nil, err
	}
	out := make([]byte, len(object)+10_000)
	// The last digits of the SOP Instance UID, which tell instances apart.
	at := bytes.Index(object, []byte(meta.MediaStorageSOPInstanceUID)) + len(meta.MediaStorageSOPInstanceUID) - 6
	n := 0
	next := func() { n++; copy(object[at:], fmt.Appendf(nil, "%06d", n%1_000_000)) }
	repeated := func(do func() error) side {
		return func() (sample, error) {
			start := time.Now()
			for range times {
				next()
				if err := do(); err != nil {
					return sample{}, err
				}
			}
			return sample{images: times, wall: time.Since(start)}, nil
		}
	}
	ours = repeated(func() error {
		o, err := stream.Open(bytes.NewReader(object), meta.TransferSyntaxUID, stream.Limits{})
		if err != nil {
			return err
		}
		if _, err := session.Rewrite(o); err != nil {
			return errors.Join(err, o.Close())
		}
		return errors.Join(readAll(o, out), o.Close())
	})
	theirs = repeated(func() error { copy(out, object); return nil })
	return ours, theirs, nil
}

// deidInNode compares the browser's engine in Node with the server's, which reads the same file from memory.
func deidInNode(b *bench, in *room) (ours, theirs side, err error) {
	object, meta, err := scannerCT()
	if err != nil {
		return nil, nil, err
	}
	file := filepath.Join(in.dir, "ct.dcm")
	if err := os.WriteFile(file, append(meta.AppendTo(nil), object...), 0o600); err != nil {
		return nil, nil, err
	}
	module, err := filepath.Abs("dist/wasm/adit-deid.mjs")
	if err != nil {
		return nil, nil, err
	}
	if _, err := os.Stat(module); err != nil {
		return nil, nil, fmt.Errorf("%w; make wasm builds it", err)
	}
	ours = func() (sample, error) {
		p, err := pinned(program{nil, "node", []string{"test/bench/deid.mjs", module, file}})
		if err != nil {
			return sample{}, err
		}
		text, err := p.command(in.ctx).Output()
		if err != nil {
			return sample{}, fmt.Errorf("node: %w", err)
		}
		var said struct {
			Times        int     `json:"times"`
			Milliseconds float64 `json:"milliseconds"`
		}
		if err := json.Unmarshal(text, &said); err != nil {
			return sample{}, err
		}
		return sample{images: said.Times, wall: time.Duration(said.Milliseconds * float64(time.Millisecond))}, nil
	}
	theirs, _, err = deidInMemory(b, in)
	return ours, theirs, err
}
