// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
)

// sample is what one side did in one round.
type sample struct {
	images int
	wall   time.Duration
	cpu    time.Duration // of the side's own processes; 0: not measured
	memory int64         // most bytes that one of them ever had; 0: not measured
}

func (s sample) perSecond() float64 { return float64(s.images) / s.wall.Seconds() }

// cpuPerImage is in milliseconds.
func (s sample) cpuPerImage() float64 {
	return float64(s.cpu.Microseconds()) / 1000 / float64(s.images)
}

func (s sample) String() string {
	return fmt.Sprintf("%.1f/s with %.3f ms of CPU each", s.perSecond(), s.cpuPerImage())
}

// pair is one round.
type pair struct {
	ours, theirs sample
}

// side does one side's part of a round.
type side func() (sample, error)

// comparison is a row of the table.
type comparison struct {
	name         string // for -only
	what         string
	ours, theirs string
	required     string
	met          func(r result) bool
	// as many rounds as the other rows have, times this (0: 1): where a disk or a close race makes single turns
	// uncertain
	times   int
	prepare func(b *bench, in *room) (ours, theirs side, err error)
}

var comparisons = append([]comparison{
	{
		name: "scu", what: "Sending CT (536 kB) to `storescp --ignore`",
		ours: "`adit store`", theirs: "`storescu`",
		required: "≥ 1.5×, CPU ≤ 0.5×", met: func(r result) bool { return r.ratio() >= 1.5 && r.cpuRatio() <= 0.5 },
		prepare: func(b *bench, in *room) (side, side, error) {
			return b.sending(
				in, noDelay, b.sets.ct, 2, "--ignore",
			)
		},
	},
	{
		name: "scu-nagle", what: "The same, DCMTK on both sides with Nagle's algorithm on",
		ours: "`adit store`", theirs: "`storescu`",
		required: "≥ 20×", met: func(r result) bool { return r.ratio() >= 20 },
		prepare: sendingToNagle,
	},
	{
		name: "tiny", what: "Sending objects of 6 kB to `storescp --ignore`",
		ours: "`adit store`", theirs: "`storescu`",
		required: "≥ 1.5×", met: func(r result) bool { return r.ratio() >= 1.5 },
		prepare: func(b *bench, in *room) (side, side, error) {
			return b.sending(in, noDelay, b.sets.tiny, 1, "--ignore")
		},
	},
	{
		name: "huge", what: "Sending an object of 210 MB to `storescp --bit-preserving`",
		ours: "`adit store`", theirs: "`storescu`", times: 3,
		required: "≥ 1×", met: func(r result) bool { return r.ratio() >= 1 },
		prepare: func(b *bench, in *room) (side, side, error) {
			return b.sending(in, noDelay, b.sets.huge, 1, "--bit-preserving", "-od", in.dir)
		},
	},
	{
		name: "scp", what: "Receiving CT from `storescu`", times: 3,
		ours: "our SCP", theirs: "`storescp --ignore`",
		required: "≥ 1×", met: func(r result) bool { return r.ratio() >= 1 },
		prepare: receiving,
	},
	{
		name: "relay", what: "A job: CT from `dcmqrscp` by ADIT to `storescp --ignore`",
		ours: "`adit serve`", theirs: "the slower of `getscu --ignore` alone and `storescu` alone",
		required: "≥ 0.8×, CPU ≤ 0.5 ms", met: func(r result) bool { return r.ratio() >= 0.8 && r.ourCPU() <= 0.5 },
		prepare: relaying,
	},
	{
		name: "orthanc", what: "A job: CT from Orthanc by ADIT (four store associations) to Orthanc",
		ours: "`adit serve`", theirs: "four `storescu` at once into the same Orthanc",
		required: "≥ 0.8×", met: func(r result) bool { return r.ratio() >= 0.8 },
		prepare: betweenOrthancs,
	},
	{
		name: "rewrite", what: "Setting 60 attributes of a CT, in memory",
		ours: "`dicom/stream`", theirs: "a copy of the object",
		required: "≥ 0.33× (≤ 3 times as long)", met: func(r result) bool { return r.ratio() >= 1.0/3 },
		prepare: rewriting,
	},
	{
		name: "deid", what: "De-identifying CT, file to file, one core, without scan and manifest",
		ours: "`adit deid`", theirs: "`cp -r`", times: 3,
		required: "≥ 0.83× (≤ 1.2 times as long)", met: func(r result) bool { return r.ratio() >= 1/1.2 },
		prepare: deidAndCopy,
	},
	{
		name: "deid-gdcm", what: "The same",
		ours: "`adit deid`", theirs: "`gdcmanon --dumb` (7 attributes)",
		required: "≥ 1×", met: func(r result) bool { return r.ratio() >= 1 },
		prepare: deidAndGDCM,
	},
	{
		name: "deid-dcmtk", what: "The same",
		ours: "`adit deid`", theirs: "`dcmodify` (8 attributes, private ones), on copies made before",
		required: "≥ 1×", met: func(r result) bool { return r.ratio() >= 1 },
		prepare: deidAndDCMTK,
	},
	{
		name: "deid-proof", what: "De-identifying CT, file to file, one core, with scan and manifest",
		ours: "`adit deid`", theirs: "the same without them", times: 3,
		required: "≥ 0.5×", met: func(r result) bool { return r.ratio() >= 0.5 },
		prepare: deidWithProof,
	},
	{
		name: "deid-memory", what: "De-identifying a CT of 150 attributes by the default profile, in memory",
		ours: "`dicom/deid`", theirs: "a copy of the object",
		required: "≥ 0.125× (≤ 8 times as long)", met: func(r result) bool { return r.ratio() >= 1.0/8 },
		prepare: deidInMemory,
	},
	{
		name: "deid-wasm", what: "The same in the browser's engine",
		ours: "`wasm` in Node, one core", theirs: "`dicom/deid`",
		required: "< 5 ms (≥ 200/s)", met: func(r result) bool {
			return r.median(func(p pair) float64 { return p.ours.perSecond() }) > 200
		},
		prepare: deidInNode,
	},
}, slices.Concat(moved, web, archives, proxied, small, lists, batches, live, clustered)...)

// sent runs programs that send so many images.
func sent(in *room, images int, p ...program) (sample, error) {
	wall, cpu, err := in.run(p...)
	return sample{images: images, wall: wall, cpu: cpu}, err
}

// sending compares adit store with storescu: a set, so many times over, to one storescp.
func (b *bench) sending(in *room, env []string, s set, times int, args ...string) (ours, theirs side, err error) {
	scp, err := in.storeSCP(env, args...)
	if err != nil {
		return nil, nil, err
	}
	dirs := slices.Repeat(s.dirs, times)
	ours = func() (sample, error) { return sent(in, times*s.images, b.store(scp, dirs...)) }
	theirs = func() (sample, error) { return sent(in, times*s.images, storeSCU(env, scp, dirs...)) }
	return ours, theirs, nil
}

// sendingToNagle lets storescu send a quarter of the set only: it takes 40 ms per object.
func sendingToNagle(b *bench, in *room) (ours, theirs side, err error) {
	scp, err := in.storeSCP(nagle, "--ignore")
	if err != nil {
		return nil, nil, err
	}
	s := b.sets.ct
	ours = func() (sample, error) { return sent(in, s.images, b.store(scp, s.dirs...)) }
	theirs = func() (sample, error) { return sent(in, s.images/len(s.dirs), storeSCU(nagle, scp, s.dirs[0])) }
	return ours, theirs, nil
}

// receiving compares our SCP with storescp --ignore; the CPU time is the receiver's.
func receiving(b *bench, in *room) (ours, theirs side, err error) {
	us, err := in.receiver()
	if err != nil {
		return nil, nil, err
	}
	them, err := in.storeSCP(noDelay, "--ignore")
	if err != nil {
		return nil, nil, err
	}
	s := b.sets.ct
	to := func(scp *server) side {
		return func() (sample, error) {
			before, err := spent(scp.pid)
			if err != nil {
				return sample{}, err
			}
			wall, _, err := in.run(storeSCU(noDelay, scp, slices.Repeat(s.dirs, 2)...))
			if err != nil {
				return sample{}, err
			}
			after, err := spent(scp.pid)
			return sample{images: 2 * s.images, wall: wall, cpu: after - before}, err
		}
	}
	return to(us), to(them), nil
}

// between starts adit serve, dcmqrscp with a set as its source, and storescp as its destination.
func (b *bench) between(in *room, name string, s set) (adit *aditServer, from, to *server, err error) {
	if from, err = in.qrSCP(s); err != nil {
		return nil, nil, nil, err
	}
	if to, err = in.storeSCP(noDelay, "--ignore", "--fork"); err != nil {
		return nil, nil, nil, err
	}
	if adit, err = b.serve(in, name); err != nil {
		return nil, nil, nil, err
	}
	return adit, from, to,
		errors.Join(adit.add(in.ctx, "source", "QRSCP", from), adit.add(in.ctx, "destination", "STORESCP", to))
}

// relaying compares the way through ADIT with either half of it, done by DCMTK.
func relaying(b *bench, in *room) (ours, theirs side, err error) {
	s := b.sets.long
	adit, from, to, err := b.between(in, "relay", s)
	if err != nil {
		return nil, nil, err
	}
	ours = func() (sample, error) { return adit.transfer(in.ctx, s) }
	theirs = func() (sample, error) {
		get, err := sent(in, s.images, program{noDelay, "getscu", []string{
			"-S", "--ignore", "-pdu", maxPDU, "-aec", "QRSCP", "-k",
			"0008,0052=STUDY", "-k", "0020,000D=" + s.study, loopback, from.port,
		}})
		if err != nil {
			return get, err
		}
		store, err := sent(in, s.images, storeSCU(noDelay, to, s.dirs...))
		if store.wall > get.wall {
			return store, err
		}
		return get, err
	}
	return ours, theirs, nil
}

// betweenOrthancs compares the way through ADIT with what the second Orthanc takes from storescu. It is emptied before
// each turn, since it doesn't write what it has.
func betweenOrthancs(b *bench, in *room) (ours, theirs side, err error) {
	from, err := in.orthanc("source")
	if err != nil {
		return nil, nil, err
	}
	to, err := in.orthanc("destination")
	if err != nil {
		return nil, nil, err
	}
	s := b.sets.ct
	if _, _, err := in.run(storeSCU(noDelay, from.server, s.dirs...)); err != nil {
		return nil, nil, err
	}
	adit, err := b.serve(in, "orthanc")
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(
		adit.add(in.ctx, "source", "SOURCE", from.server), adit.add(in.ctx, "destination", "ORTHANC", to.server),
	); err != nil {
		return nil, nil, err
	}
	var four []program
	for _, dir := range s.dirs {
		four = append(four, storeSCU(noDelay, to.server, dir))
	}
	ours = to.emptied(in, s, func() (sample, error) { return adit.transfer(in.ctx, s) })
	theirs = to.emptied(in, s, func() (sample, error) { return sent(in, s.images, four...) })
	return ours, theirs, nil
}

// rewriting compares, in this process, the passage of a CT through dicom/stream with a copy of the same bytes.
func rewriting(*bench, *room) (ours, theirs side, err error) {
	const times = 5000
	ct := phantom.New(1, phantom.StudySpec{Series: []phantom.SeriesSpec{ctSeries}}).Instances()[0]
	object, err := io.ReadAll(ct.Open())
	if err != nil {
		return nil, nil, err
	}
	out := make([]byte, len(object)+10_000)
	repeated := func(do func() error) side {
		return func() (sample, error) {
			start := time.Now()
			for range times {
				if err := do(); err != nil {
					return sample{}, err
				}
			}
			return sample{images: times, wall: time.Since(start)}, nil
		}
	}
	tags, value := sixtyTags(), []byte("2.25.12345678 ")
	ours = repeated(func() error { return rewrite(out, object, ct.TransferSyntaxUID, tags, value) })
	theirs = repeated(func() error { copy(out, object); return nil })
	return ours, theirs, nil
}

// sixtyTags returns attributes that take text: many that a CT has, and some that it hasn't.
func sixtyTags() []dict.Tag {
	var tags []dict.Tag
	for t := dict.StudyDate; len(tags) < 60; t++ {
		if e, ok := dict.Lookup(t); ok && e.VR.Text() {
			tags = append(tags, t)
		}
	}
	return tags
}

// rewrite sets attributes of an object in memory, and writes it into out.
func rewrite(out, object []byte, syntax string, tags []dict.Tag, value []byte) error {
	o, err := stream.Open(bytes.NewReader(object), syntax, stream.Limits{})
	if err != nil {
		return err
	}
	for _, t := range tags {
		if err := o.Header().Set(t, dict.LO, value); err != nil {
			return errors.Join(err, o.Close())
		}
	}
	return errors.Join(readAll(o, out), o.Close())
}

// readAll reads an object into out, which is long enough.
func readAll(o *stream.Object, out []byte) (err error) {
	for n := 0; err == nil; {
		var m int
		m, err = o.Read(out[n:])
		n += m
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
