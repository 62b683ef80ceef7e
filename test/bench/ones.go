// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package main

import "errors"

// small are the rows of many small studies, which cost more than their bytes: lists, associations and the database.
var small = []comparison{
	{
		name: "ones", what: "A job of 500 studies of one image (6 kB) from `dcmqrscp` to `storescp --ignore`: " +
			"studies/s, CPU per task (12 to 13 statements each: TestStatements)",
		ours: "`adit serve`", theirs: "`getscu --ignore` once per study (50 of them)",
		required: "≥ 150 studies/s", met: atLeast(150),
		prepare: func(b *bench, in *room) (ours, theirs side, err error) {
			adit, from, _, err := b.between(in, "ones", b.sets.ones)
			if err != nil {
				return nil, nil, err
			}
			return oneByOne(in, adit, b.sets.ones, "QRSCP", from)
		},
	},
	{
		name: "ones-orthanc", what: "The same between two Orthancs",
		ours: "`adit serve`", theirs: "`getscu --ignore` once per study (50 of them)",
		required: "≥ 150 studies/s", met: atLeast(150),
		prepare: betweenOrthancsOneByOne,
	},
}

// oneByOne compares a job of many studies with one program for each of them, which only fetches.
func oneByOne(in *room, adit *aditServer, s set, aeTitle string, from *server) (ours, theirs side, err error) {
	ours = func() (sample, error) { return adit.transfer(in.ctx, s) }
	theirs = func() (all sample, err error) {
		for _, study := range s.others[:50] {
			one, err := sent(in, 1, program{noDelay, "getscu", []string{
				"-S", "--ignore", "-pdu", maxPDU, "-aec", aeTitle, "-k",
				"0008,0052=STUDY", "-k", "0020,000D=" + study, loopback, from.port,
			}})
			if err != nil {
				return all, err
			}
			all = sample{images: all.images + 1, wall: all.wall + one.wall, cpu: all.cpu + one.cpu}
		}
		return all, nil
	}
	return ours, theirs, nil
}

// betweenOrthancsOneByOne is oneByOne from one Orthanc to another, which is emptied after each turn.
func betweenOrthancsOneByOne(b *bench, in *room) (ours, theirs side, err error) {
	from, err := in.orthanc("source")
	if err != nil {
		return nil, nil, err
	}
	to, err := in.orthanc("destination")
	if err != nil {
		return nil, nil, err
	}
	s := b.sets.ones
	fill := storeSCU(noDelay, from.server, s.dirs...)
	fill.args = append([]string{"+r"}, fill.args...) // folders in folders
	if _, _, err := in.run(fill); err != nil {
		return nil, nil, err
	}
	adit, err := b.serve(in, "ones-orthanc")
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(
		adit.add(in.ctx, "source", "ORTHANC", from.server), adit.add(in.ctx, "destination", "TARGET", to.server),
	); err != nil {
		return nil, nil, err
	}
	move, theirs, err := oneByOne(in, adit, s, "ORTHANC", from.server)
	return to.emptied(in, s, move), theirs, err
}
